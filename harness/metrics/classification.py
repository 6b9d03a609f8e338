"""Metrics of single-label classification from predicted probabilities.

A prediction is the class of the highest probability; of classes with equal probabilities the one with the lower
index comes first, in top-1 and in top-5 alike. Probabilities are taken as they are: a row whose sum is off by the
tolerated 1e-3 is not rescaled, which moves NLL by no more than 1e-3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics.calibration import calibration_statistics
from harness.metrics.class_means import MeanF1, class_rows, mean_recall
from harness.metrics.probabilities import check_class_names, check_labels, check_probabilities, check_shapes
from harness.metrics.proportions import BoolArray, ProportionStatistics, proportion
from harness.metrics.resampling import FloatArray, IntArray, MeanStatistics, Statistics

_TOP = 5
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)  # as in scikit-learn's log_loss


def classification_statistics(
    probabilities: FloatArray, labels: IntArray, class_names: Sequence[str]
) -> dict[str, Statistics]:
    """Score probabilities [N, C] float64 against labels [N] int64 in 0..C-1.

    `top-1` and, of more than 5 classes, `top-5`: shares of samples (`Proportion`), 0..1. `macro-F1` and
    `mean-per-class` (recall): means over the classes that occur among the labels, 0..1; the other classes are left
    out, though predicting them costs the recall of the right ones. `NLL`: nats, of probabilities clipped below at
    2.2e-16. `Brier`: the squared error summed over classes, 0..2 (Brier 1950). `ECE`, `adaptive-ECE` and their nulls
    `ECE-null`, `adaptive-ECE-null`, 0..1: see `harness.metrics.calibration`. Lower is better from `NLL` on.

    Raises DataError for no samples, shapes or names that do not fit, labels out of range and rows that are not
    finite, hold negative numbers or do not sum to 1 within 1e-3, naming the first such row, counted from 0.
    """
    _check(probabilities, labels, class_names)
    rank = _rank_of_label(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    correct = rank == 0
    own = _of_label(probabilities, labels)
    squared = np.einsum("nc,nc->n", probabilities, probabilities) + 1.0 - 2.0 * own
    statistics: dict[str, Statistics] = {"top-1": proportion(correct)}
    if probabilities.shape[1] > _TOP:
        statistics[f"top-{_TOP}"] = proportion(rank < _TOP)
    return {
        **statistics,
        "macro-F1": _macro_f1(labels, predicted),
        "mean-per-class": mean_recall(labels, correct, np.ones_like(correct)),
        "NLL": MeanStatistics(-np.log(np.maximum(own, _LEAST_PROBABILITY))),
        # rounding can leave -1e-16 of a sure and right answer
        "Brier": MeanStatistics(np.maximum(squared, 0.0), bounds=(0.0, 2.0)),
        **calibration_statistics(np.minimum(probabilities.max(axis=1), 1.0), correct),
    }


def per_class_statistics(
    probabilities: FloatArray, labels: IntArray, class_names: Sequence[str]
) -> dict[str, ProportionStatistics]:
    """Recall of each class as `per-class:NAME`, 0..1, in the order of the names; arguments as above.

    Each is a `Proportion` whose trials are the samples of the class. Classes without a sample are left out; in a
    resample in which no sample of the class was drawn its recall is NaN. Raises DataError as above.
    """
    _check(probabilities, labels, class_names)
    correct = probabilities.argmax(axis=1) == labels
    return {
        f"per-class:{class_names[index]}": ProportionStatistics(correct, labels == index) for index in np.unique(labels)
    }


def _check(probabilities: FloatArray, labels: IntArray, class_names: Sequence[str]) -> None:
    check_shapes(probabilities, labels)
    check_class_names(class_names, probabilities.shape[1])
    check_labels(labels, probabilities.shape[1])
    check_probabilities(probabilities)


def _of_label(probabilities: FloatArray, labels: IntArray) -> FloatArray:
    """[N] the probability of the right class."""
    return np.asarray(probabilities[np.arange(len(labels)), labels])


def _rank_of_label(probabilities: FloatArray, labels: IntArray) -> IntArray:
    """[N] how many classes come before the right one."""
    own = _of_label(probabilities, labels)[:, None]
    lower_index: BoolArray = np.arange(probabilities.shape[1]) < labels[:, None]
    before = (probabilities > own) | ((probabilities == own) & lower_index)
    return np.asarray(before.sum(axis=1), dtype=np.int64)


def _macro_f1(labels: IntArray, predicted: IntArray) -> MeanF1:
    occurring, everywhere = np.unique(labels), np.ones(len(labels), dtype=np.bool_)
    correct = labels == predicted
    return MeanF1(
        members=class_rows(labels, everywhere, occurring),
        hits=class_rows(labels, correct, occurring),
        predicted=class_rows(predicted, everywhere, occurring),
        per_sample=correct.astype(np.float64),
    )
