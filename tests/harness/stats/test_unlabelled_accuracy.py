"""Accuracy without labels: by hand, where it must be exact, and how often its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.unlabelled_accuracy import confidence_difference, estimate_accuracy, thresholded_confidence


def test_by_hand() -> None:
    known, right = np.array([0.9, 0.8, 0.6, 0.5]), np.array([True, True, True, False])
    assert thresholded_confidence(known, right, np.array([0.95, 0.55, 0.5, 0.4])) == 0.5  # threshold .5: one is wrong
    assert thresholded_confidence(known, right, known) == 0.75
    assert thresholded_confidence(known, np.ones(4, bool), np.array([0.1])) == 1.0
    assert confidence_difference(known, right, np.array([0.5, 0.5])) == pytest.approx(0.75 + 0.5 - 0.7)
    assert confidence_difference(known, right, np.array([0.0])) == pytest.approx(0.05)


def draw(count: int, sureness: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A calibrated model: it is right as often as it says."""
    confidence = random.beta(sureness, 2.0, size=count)
    return confidence, random.random(count) < confidence


def test_a_calibrated_model_under_a_shift_that_keeps_it_so() -> None:
    """DoC is then right on average; its interval holds the true accuracy about as often as it says."""
    random, held = np.random.default_rng(4), 0
    truth = 2.0 / 4.0
    for _ in range(60):
        known, right = draw(300, 6.0, random)
        new, _ = draw(300, 2.0, random)
        found = estimate_accuracy(known, right, new, 200, random)
        low, high = found["DoC"].interval or (0, 0)
        held += low <= truth <= high
        assert found["ATC"].value < right.mean() - 0.1  # it sees the fall
    assert held >= 50
