"""Worst group and gap: by hand, with groups that are alike, with an interval that holds the true gap."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.estimates import estimate
from harness.stats.group_gaps import GapOf, GroupGap, OfGroup, group_gap
from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import proportion
from harness.stats.resampling import MeanStatistics


def gap_of(right: list[int], names: list[str]) -> GroupGap:
    found = group_gap(proportion(np.array(right, dtype=np.bool_)), names, higher_is_better=True, resamples=200)
    assert found is not None and found.gap is not None
    return found


def test_a_case_by_hand() -> None:
    found = gap_of([1, 1, 1, 0, 1, 0, 0, 0, 1, 0], [*"aaaa", *"bbbb", *"cc"])
    values = {name: e.value for name, e in found.groups.items() if e}
    assert values == {"a": 0.75, "b": 0.25, "c": 0.5}
    assert (found.best, found.worst) == ("a", "b")
    assert found.gap is not None and found.gap.value == pytest.approx(0.5)
    assert 0 < found.alike < 1 and found.alike <= found.alike_high


def test_fewer_than_two_groups_are_none() -> None:
    scores = MeanStatistics(np.arange(4.0))
    assert group_gap(scores, [*"aaaa"], higher_is_better=True) is None
    assert group_gap(scores, [*"aaab"], higher_is_better=True) is None


def test_less_may_be_better() -> None:
    found = group_gap(MeanStatistics(np.array([0.1, 0.2, 0.9, 0.8])), [*"aabb"], higher_is_better=False, resamples=50)
    assert found is not None and (found.best, found.worst) == ("a", "b")
    assert found.gap is not None and found.gap.value > 0


def test_groups_that_are_alike_are_rarely_told_apart() -> None:
    generator, names = np.random.default_rng(8), [*"a" * 150, *"b" * 150]
    alike = [gap_of((generator.random(300) < 0.7).astype(int).tolist(), names) for _ in range(20)]
    assert sum(found.p <= 0.05 for found in alike) <= 4
    apart = gap_of((generator.random(300) < np.repeat([0.8, 0.5], 150)).astype(int).tolist(), names)
    assert apart.p <= 0.05 and apart.worst == "b"


def test_the_interval_holds_a_true_gap() -> None:
    generator, first, held = np.random.default_rng(1), np.repeat([True, False], 150), 0
    for _ in range(100):
        right = proportion(generator.random(300) < np.where(first, 0.8, 0.5))
        e = estimate(GapOf(OfGroup(right, first), OfGroup(right, ~first)), 200)
        assert e is not None and e.low is not None and e.high is not None
        held += e.low <= 0.3 <= e.high
    assert held >= 88  # of 100 intervals of 95 %; fewer come by chance once in 250 times


def test_samples_of_an_image_change_their_group_together() -> None:
    """Ten images of ten samples that score alike: groups of whole images differ by chance."""
    scores = np.repeat([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 10)
    images = [str(place // 10) for place in range(100)]
    names = [*"a" * 50, *"b" * 50]
    loose = group_gap(MeanStatistics(scores), names, higher_is_better=True, resamples=50)
    whole = group_gap(GroupedStatistics(MeanStatistics(scores), images), names, higher_is_better=True, resamples=50)
    assert loose is not None and whole is not None
    assert loose.p < 0.01 < 0.1 < whole.p
