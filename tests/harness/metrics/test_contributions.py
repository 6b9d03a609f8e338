"""Contributions average to the metric, and give the standard error that the bootstrap gives."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.labels.classification import classification_statistics
from harness.stats.contributions import contributions
from harness.stats.intervals import draw_resamples
from harness.stats.proportions import ProportionStatistics
from harness.stats.resampling import MeanStatistics
from tests.benchmarks import simulated_populations as simulated


def bootstrap_error(statistics, resamples: int = 2000) -> float:
    n = len(statistics.per_sample)
    return float(np.std(np.concatenate([statistics.resample(c) for c in draw_resamples(n, resamples)])))


def classified(n: int = 300, classes: int = 6):
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, n)
    logits = random.normal(size=(n, classes)) + 1.5 * np.eye(classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return classification_statistics(probabilities, truth, [str(name) for name in range(classes)])


def test_of_a_mean_they_are_the_scores():
    scores = np.array([0.25, 1.0, 0.5])
    assert contributions(MeanStatistics(scores)).tolist() == scores.tolist()


def test_of_a_share_among_some_samples_by_hand():
    # 2 of 3 trials succeed, one sample is no trial. Without a success 1 of 2 do: influence (2/3 - 1/2) * 3.
    statistics = ProportionStatistics(np.array([True, True, False, False]), np.array([True, True, True, False]))
    influence = np.array([(2 / 3 - 1 / 2) * 3, (2 / 3 - 1 / 2) * 3, (2 / 3 - 1) * 3, 0.0])
    assert contributions(statistics) == pytest.approx(2 / 3 + influence - influence.mean())


def test_without_its_only_trial_a_share_is_undefined_and_the_trial_counts_twice_instead():
    # 1 of 1 trial: without it there is no share; counted twice it is 2 of 2, which moves nothing.
    only = ProportionStatistics(np.array([True, False, False]), np.array([True, False, False]))
    assert contributions(only).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["top-1", "macro-F1", "NLL"])
def test_their_mean_is_the_metric_and_their_spread_its_standard_error(name):
    statistics = classified()[name]
    found = contributions(statistics)
    assert found.mean() == pytest.approx(statistics.value, abs=1e-12)
    assert found.std() / np.sqrt(len(found)) == pytest.approx(bootstrap_error(statistics), rel=0.1)


@pytest.mark.parametrize(
    ("name", "population"),
    [
        ("macro-F1", lambda: simulated.labels(20_000, 2.2)),
        ("H", lambda: simulated.labels(20_000, 2.2, unseen=4)),
        ("mIoU", lambda: simulated.label_maps(20_000)),
    ],
)
def test_their_spread_is_how_far_test_sets_of_the_same_population_are_apart(name, population):
    score, random = population(), np.random.default_rng(0)
    drawn = [score(random.integers(0, 20_000, 200))[name] for _ in range(200)]
    apart = np.std([statistics.value for statistics in drawn], ddof=1)
    claimed = np.mean([contributions(statistics).var(ddof=1) / 200 for statistics in drawn[:20]]) ** 0.5
    assert claimed == pytest.approx(apart, rel=0.15)  # 200 sets know `apart` to 5 %, two thirds of the time
