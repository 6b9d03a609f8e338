"""BiasAmp→: by hand, by the formula in plain loops, what it must be at the ends, and its interval."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.bias_amplification import BiasAmplification, numbered
from harness.stats.estimates import estimate


def of(group: list[int], label: list[int], said: list[int], groups: int = 2, labels: int = 2) -> BiasAmplification:
    return BiasAmplification(np.array(group), np.array(label), np.array(said), groups, labels)


def test_a_case_by_hand() -> None:
    """Group 0 has label 1 in 3 of 4 samples and group 1 in 1 of 4; predictions say 4 of 4 and 1 of 4.

    Correlated are (0, 1) and (1, 0). Changes: (0, 1) +1/4, (0, 0) -1/4 counted as +1/4, group 1 none: a mean of 1/8.
    """
    found = of([0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0])
    assert found.value == pytest.approx(1 / 8)


def second(group: list[int], label: list[int], said: list[int], groups: int, labels: int) -> float:
    """The formula of the paper, sample by sample."""
    n, terms = len(group), []
    for a in range(groups):
        own = [i for i in range(n) if group[i] == a]
        for t in range(labels):
            joint = sum(label[i] == t for i in own) / n
            apart = (len(own) / n) * (sum(value == t for value in label) / n)
            if not own:
                continue
            delta = sum(said[i] == t for i in own) / len(own) - sum(label[i] == t for i in own) / len(own)
            terms.append(delta if joint > apart + 1e-15 else -delta)
    return sum(terms) / len(terms)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_a_second_implementation(rows: list[tuple[int, int, int]]) -> None:
    group, label, said = (list(column) for column in zip(*rows, strict=True))
    assert of(group, label, said, 3, 4).value == pytest.approx(second(group, label, said, 3, 4))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=20))
def test_right_predictions_amplify_nothing(rows: list[tuple[int, int]]) -> None:
    group, label = (list(column) for column in zip(*rows, strict=True))
    assert of(group, label, label, 2, 3).value == 0.0


def test_both_directions_differ_and_no_label_is_no_label() -> None:
    group, label = [0, 0, 0, 1], [0, 0, 1, 1]
    assert of(group, label, [0, 0, 0, 1]).value > 0  # labels follow the group more than they should
    assert of(label, group, [0, 0, 1, 1]).value > 0  # groups that are guessed from labels do too
    assert of(group, label, [-1, -1, -1, -1]).value == second(group, label, [9] * 4, 2, 2)


def test_a_resample_is_scored_as_its_samples() -> None:
    source = random.Random(2)
    group, label, said = ([source.randrange(2) for _ in range(12)] for _ in range(3))
    drawn = [source.randrange(12) for _ in range(12)]
    counts = np.bincount(drawn, minlength=12)[None]
    again = second(*([column[i] for i in drawn] for column in (group, label, said)), 2, 2)
    assert of(group, label, said).resample(counts)[0] == pytest.approx(again)


def test_the_interval_holds_a_known_amplification() -> None:
    """Labels follow the group in 60 % of samples, predictions in 80 %: +.2 in each of four pairs."""
    generator, held = np.random.default_rng(4), 0
    for _ in range(40):
        group = generator.integers(0, 2, 400)
        label, said = (np.where(generator.random(400) < share, group, 1 - group) for share in (0.6, 0.8))
        e = estimate(BiasAmplification(group, label, said, 2, 2), 200)
        assert e is not None and e.low is not None and e.high is not None
        held += e.low <= 0.2 <= e.high
    assert held >= 34


def test_groups_are_numbered_in_their_order() -> None:
    assert numbered(["x", "b", "x"])[1] == ("b", "x")
