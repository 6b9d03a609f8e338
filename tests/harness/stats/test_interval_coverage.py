"""Intervals hold the truth as often as they say, through the code that a run goes through.

`tests/benchmarks/bench_intervals.py` does the same with 1,000 experiments each and prints the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.stats.estimates import estimate
from harness.stats.intervals import wilson
from harness.stats.proportions import proportion
from tests.benchmarks import simulated_populations as simulated

POOL, IMAGES = 4000, 200


def coverage(score: simulated.Score, metric: str, experiments: int, pool: int = POOL) -> float:
    """How often intervals of test sets hold the expected score of such a test set."""
    source, values, intervals = np.random.default_rng(11), [], []
    for _ in range(experiments):
        statistics = score(source.integers(0, pool, IMAGES))[metric]
        found = estimate(statistics, 300)
        assert statistics is not None and found is not None
        values.append(found.value)
        intervals.append((found.low, found.high))
    low, high = np.array(intervals).T
    truth = np.mean(values)  # its own error is 1 / sqrt(experiments) of an interval's
    return float(((low <= truth) & (truth <= high)).mean())


# what 93 and 97 % can give in 999 of 1,000 such tests: 600 experiments .895 to .989, 300 .88 to .995, 150 .86 to 1,
# 60 .82 to 1
@pytest.mark.parametrize(
    ("population", "metric", "experiments", "least", "most"),
    [
        (lambda: simulated.labels(POOL, 2.2), "top-1", 600, 0.895, 0.989),
        (lambda: simulated.labels(POOL, 2.2), "macro-F1", 300, 0.88, 0.995),
        (lambda: simulated.label_maps(POOL), "mIoU", 300, 0.88, 0.995),
        (lambda: simulated.captions(POOL), "CIDEr", 150, 0.86, 1.0),
        (lambda: simulated.grouped(POOL, 0.8), "top-1", 600, 0.895, 0.989),
        (lambda: simulated.grouped(POOL, 5.2), "top-1", 600, 0.895, 0.989),
    ],
    ids=["top-1", "macro-F1", "mIoU", "CIDEr", "questions", "questions-near-98"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    population: Callable[[], simulated.Score], metric: str, experiments: int, least: float, most: float
) -> None:
    assert least <= coverage(population(), metric, experiments) <= most


@pytest.mark.slow
def test_intervals_of_average_precision_hold_the_truth_as_often_as_they_say() -> None:
    assert 0.82 <= coverage(simulated.boxes(1000), "AP", 60, 1000) <= 1.0


def test_questions_about_one_image_are_not_independent() -> None:
    wrongly = coverage(simulated.grouped(POOL, 0.8, by_image=False), "top-1", 600)
    assert wrongly < 0.89, "the population is one in which this matters"


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.98])
def test_intervals_of_proportions_hold_them_exactly_so_often(p: float) -> None:
    """Summed over all outcomes of 200 trials: Wilson's interval swings about 95 %."""
    held = [k for k in range(201) if wilson(k, 200)[0] <= p <= wilson(k, 200)[1]]
    assert 0.93 <= sum(math.comb(200, k) * p**k * (1 - p) ** (200 - k) for k in held) <= 0.97
    found = estimate(proportion(np.arange(200) < 200 * p), 10)
    assert found is not None and (found.low, found.high) == wilson(round(200 * p), 200)


# 200 experiments: what 90 to 98 % can give in 999 of 1,000 such tests
@pytest.mark.parametrize(
    ("population", "metric", "images"),
    [
        (lambda: simulated.labels(POOL, 2.2), "balanced-accuracy", 10),
        (lambda: simulated.labels(POOL, 2.2), "balanced-accuracy", 30),
        (lambda: simulated.labels(POOL, 2.2), "macro-F1", 30),
        (lambda: simulated.label_maps(POOL), "mIoU", 5),
        (lambda: simulated.label_maps(POOL), "mIoU", 30),
    ],
    ids=["balanced-accuracy-10", "balanced-accuracy-30", "macro-F1-30", "mIoU-5", "mIoU-30"],
)
def test_few_images_widen_intervals_enough(population: Callable[[], simulated.Score], metric: str, images: int) -> None:
    """A bootstrap alone held .88 of mean recalls of 30 images and .835 of mIoU of 6."""
    score, source, values, held = population(), np.random.default_rng(images), [], []
    for number in range(800):
        statistics = score(source.integers(0, POOL, images))[metric]
        assert statistics is not None
        values.append(statistics.value)
        if number % 4 == 0:
            found = estimate(statistics, 200)
            assert found is not None and found.interval is not None
            held.append(found.interval)
    truth = np.mean(values)
    assert 0.85 <= np.mean([low <= truth <= high for low, high in held]) <= 1.0
