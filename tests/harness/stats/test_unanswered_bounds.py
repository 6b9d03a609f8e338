"""Bounds of metrics when samples have no answer: by hand, and against all that these may turn out to be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest

from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.resampling import MeanStatistics
from harness.stats.unanswered_bounds import unanswered_bounds


def share(name: str) -> tuple[float, float]:
    return 0.0, 1.0


def test_of_eight_answers_six_right_and_two_missing_by_hand() -> None:
    right = proportion(np.array([True] * 6 + [False] * 2))
    assert unanswered_bounds({"top-1": right}, 2, share) == {"top-1": (0.6, 0.8)}


@pytest.mark.parametrize("failed", [1, 3])
def test_bounds_are_the_ends_of_all_that_missing_answers_may_be(failed: int) -> None:
    answered = np.array([True, False, True, True])
    every = [np.concatenate([answered, ends]).mean() for ends in product([0.0, 1.0], repeat=failed)]
    low, high = unanswered_bounds({"a": proportion(answered)}, failed, share)["a"] or (0.0, 0.0)
    assert (low, high) == pytest.approx((min(every), max(every)))


def test_a_mean_is_bounded_by_the_ends_of_a_score_and_only_where_these_are_known() -> None:
    scores = np.array([1.0, 3.0])
    known = {"known": MeanStatistics(scores, (0.0, 10.0)), "open": MeanStatistics(scores)}
    found = unanswered_bounds(known, 2, lambda name: None)
    assert found == {"known": (1.0, 6.0), "open": None}


def test_samples_of_one_image_do_not_hide_the_bounds_and_other_metrics_have_none() -> None:
    right = proportion(np.array([True, False]))
    part = ProportionStatistics(np.array([True, False]), np.array([True, False]))
    found = unanswered_bounds(
        {"g": GroupedStatistics(right, ("i", "i")), "part": part, "g[night]": right, "none": None}, 2, share
    )
    assert found == {"g": (0.25, 0.75), "part": None}


@dataclass(frozen=True)
class Outside:
    """Statistics of a class that nobody here knows: the mean, or the square of it."""

    per_sample: Any
    power: int

    @property
    def value(self) -> float:
        return float(np.mean(self.per_sample) ** self.power)

    def resample(self, counts: Any) -> Any:
        return (counts @ self.per_sample / counts.sum(axis=1)) ** self.power


def test_a_mean_of_an_unknown_class_is_known_by_its_resamples() -> None:
    scores = np.array([1.0, 0.0, 1.0])
    statistics = {"mean": Outside(scores, 1), "square": Outside(scores, 2), "alike": Outside(np.ones(3), 1)}
    assert unanswered_bounds(statistics, 1, share) == {"mean": (0.5, 0.75), "square": None, "alike": None}
