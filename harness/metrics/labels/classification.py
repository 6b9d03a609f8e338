"""Metrics of single-label classification, from predicted probabilities or from predicted labels alone.

A prediction is the class whose probability is above all others. Where several share the highest there is none, which is
a miss, and a rank counts every class that ties with the right one as before it: a score must not depend on the order
of the classes, and a model that cannot tell classes apart has not told them apart. Probabilities are taken as they
are: a row whose sum is off by the tolerated 1e-3 is not rescaled, which moves NLL by no more than 1e-3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.answers import NO_CLASS
from harness.errors import DataError
from harness.metrics.labels.calibration import calibration_statistics
from harness.metrics.labels.class_means import MeanF1, class_rows, mean_recall
from harness.metrics.labels.probabilities import check_class_names, check_labels, check_shapes
from harness.metrics.labels.row_facts import RowFacts, row_facts
from harness.protocols import Statistics
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics

TOP = 5
OF_PROBABILITIES = ("top-5", "NLL", "Brier", "ECE", "adaptive-ECE", "ECE-null", "adaptive-ECE-null")
"""What cannot be said of predicted labels alone."""
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)  # as in scikit-learn's log_loss


def classification_statistics(
    probabilities: FloatArray, labels: IntArray, class_names: Sequence[str]
) -> dict[str, Statistics]:
    """Score probabilities [N, C] float64 against labels [N] int64 in 0..C-1.

    `top-1` and, of more than 5 classes, `top-5`: shares of samples (`Proportion`), 0..1. `macro-F1`: the mean over the
    classes that occur among the labels or are predicted, 0..1 (scikit-learn's default, and torchmetrics'). `balanced-
    accuracy`: recall, the mean over the classes that occur among the labels, 0..1. `NLL`: nats, of probabilities
    clipped below at 2.2e-16. `Brier`: the squared error summed over classes, 0..2 (Brier 1950). `ECE`,
    `adaptive-ECE` and their nulls `ECE-null`, `adaptive-ECE-null`, 0..1: see `harness.metrics.labels.calibration`.

    Raises DataError for no samples, shapes or names that do not fit, labels out of range and rows that are not
    finite, hold negative numbers or do not sum to 1 within 1e-3, naming the first such row, counted from 0.
    """
    check_shapes(probabilities.shape, labels)
    check_class_names(class_names, probabilities.shape[1])
    return statistics_of_facts(row_facts(probabilities, labels), labels, class_names)


def statistics_of_facts(facts: RowFacts, labels: IntArray, class_names: Sequence[str]) -> dict[str, Statistics]:
    """Score what `row_facts` took of probabilities: the metrics of `classification_statistics`.

    Raises DataError for names that occur twice.
    """
    check_class_names(class_names, len(class_names))
    correct = facts.rank == 0
    squared = facts.squares + 1.0 - 2.0 * facts.own
    found = _of_classes(facts.top, labels)
    top_five: dict[str, Statistics] = {}
    if len(class_names) > TOP:
        top_five[f"top-{TOP}"] = proportion(facts.rank < TOP)
    return {
        "top-1": found.pop("top-1"),
        **top_five,
        **found,
        "NLL": MeanStatistics(-np.log(np.maximum(facts.own, _LEAST_PROBABILITY))),
        # rounding can leave -1e-16 of a sure and right answer
        "Brier": MeanStatistics(np.maximum(squared, 0.0), bounds=(0.0, 2.0)),
        **calibration_statistics(np.minimum(facts.highest, 1.0), correct),
    }


def label_statistics(predicted: IntArray, labels: IntArray, class_names: Sequence[str]) -> dict[str, Statistics]:
    """Score predicted classes [N] int64 in 0..C-1, or NO_CLASS, against labels [N]: those of the metrics that can be.

    Raises DataError for no samples, shapes that differ and numbers that are no class.
    """
    check_class_names(class_names, len(class_names))
    check_predicted(predicted, labels, len(class_names))
    return _of_classes(predicted, labels)


def per_class_statistics(
    predicted: IntArray, labels: IntArray, class_names: Sequence[str]
) -> dict[str, ProportionStatistics]:
    """Recall of each class as `per-class:NAME`, 0..1, in the order of the names; arguments as for `label_statistics`.

    Each is a `Proportion` whose trials are the samples of the class. Classes without a sample are left out; in a
    resample in which no sample of the class was drawn its recall is NaN. Raises DataError as above.
    """
    check_class_names(class_names, len(class_names))
    check_predicted(predicted, labels, len(class_names))
    return {
        f"per-class:{class_names[index]}": ProportionStatistics(predicted == labels, labels == index)
        for index in np.unique(labels)
    }


def check_predicted(predicted: IntArray, labels: IntArray, classes: int) -> None:
    """Raise DataError unless there is a label and a predicted class, or NO_CLASS, for each of N > 0 samples."""
    if predicted.ndim != 1 or predicted.shape != labels.shape or not len(labels):
        raise DataError(
            f"Predicted classes of shape {predicted.shape} and labels of shape {labels.shape} do not fit, or there is "
            "nothing to score. Give both as [N], N > 0."
        )
    check_labels(labels, classes)
    wrong = np.flatnonzero((predicted < NO_CLASS) | (predicted >= classes))
    if wrong.size:
        raise DataError(
            f"Row {wrong[0]} predicts the class {predicted[wrong[0]]}, but there are {classes} classes. "
            f"Give an index of 0..{classes - 1}, or {NO_CLASS} for none of them."
        )


def _of_classes(predicted: IntArray, labels: IntArray) -> dict[str, Statistics]:
    correct = predicted == labels
    return {
        "top-1": proportion(correct),
        "macro-F1": _macro_f1(labels, predicted),
        "balanced-accuracy": mean_recall(labels, correct, np.ones_like(correct)),
    }


def _macro_f1(labels: IntArray, predicted: IntArray) -> MeanF1:
    named = predicted != NO_CLASS
    classes, everywhere = np.union1d(labels, predicted[named]), np.ones(len(labels), dtype=np.bool_)
    correct = labels == predicted
    return MeanF1(
        members=class_rows(labels, everywhere, classes),
        hits=class_rows(labels, correct, classes),
        predicted=class_rows(predicted, named, classes),
        per_sample=correct.astype(np.float64),
    )
