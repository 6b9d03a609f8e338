"""Answers beside what is right, as arrays."""

from __future__ import annotations

import numpy as np

from harness.answers import NO_CLASS
from harness.metrics.answered import Answered


def test_probabilities_and_the_class_above_all_others() -> None:
    found = Answered.of_labels([0, 2, 1], [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    assert found.labels.tolist() == [0, 2, 1]
    assert found.predicted.tolist() == [0, NO_CLASS, 2]
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities[1], [0.4, 0.4, 0.2])


def test_a_class_alone_has_no_probabilities() -> None:
    found = Answered.of_labels([0, 1], [1, [0.2, 0.8]])
    assert found.predicted.tolist() == [1, 1]
    assert found.probabilities is None


def test_several_classes_a_sample() -> None:
    found = Answered.of_labels([[1, 0, -1], [0, 1, 1]], [[0.9, 0.1, 0.5], [0.2, 0.7, 0.6]])
    assert found.label_table.tolist() == [[1, 0, -1], [0, 1, 1]]
