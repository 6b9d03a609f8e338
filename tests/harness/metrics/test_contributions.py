"""Contributions average to the metric, and give the standard error that the bootstrap gives."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.classification import classification_statistics
from harness.metrics.contributions import contributions
from harness.metrics.proportions import ProportionStatistics
from harness.metrics.resampling import MeanStatistics
from harness.uncertainty import draw_resamples


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
    # 2 of 3 trials succeed, one sample is no trial. Counting a success twice gives 3/4: influence (3/4 - 2/3) * 5.
    statistics = ProportionStatistics(np.array([True, True, False, False]), np.array([True, True, True, False]))
    influence = np.array([(3 / 4 - 2 / 3) * 5, (3 / 4 - 2 / 3) * 5, (2 / 4 - 2 / 3) * 5, 0.0])
    assert contributions(statistics) == pytest.approx(2 / 3 + influence - influence.mean())


@pytest.mark.parametrize("name", ["top-1", "macro-F1", "NLL"])
def test_their_mean_is_the_metric_and_their_spread_its_standard_error(name):
    statistics = classified()[name]
    found = contributions(statistics)
    assert found.mean() == pytest.approx(statistics.value, abs=1e-12)
    assert found.std() / np.sqrt(len(found)) == pytest.approx(bootstrap_error(statistics), rel=0.1)
