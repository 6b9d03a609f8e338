"""Metrics of multi-label classification: any number of the classes may be right for a sample.

Where it is not known whether a class is (UNKNOWN: VOC's difficult objects), an answer to it counts neither way: such
(sample, class) pairs are left out of every metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.answers import UNKNOWN
from harness.errors import DataError
from harness.metrics.labels.average_precision import MeanAveragePrecision, precisions_within, ranking
from harness.metrics.labels.class_means import MeanF1
from harness.metrics.labels.probabilities import check_class_names
from harness.protocols import Statistics
from harness.stats.proportions import BoolArray
from harness.stats.resampling import FloatArray, MeanStatistics
from harness.stats.sums import SumStatistics, ratio_of_sums

THRESHOLD = 0.5
_CLIP = 1e-7
_LAST = -1.0  # below all scores: what is unknown comes after everything that is ranked
Labels = npt.NDArray[np.int8]


def multilabel_statistics(scores: FloatArray, labels: Labels, class_names: Sequence[str]) -> dict[str, Statistics]:
    """Score scores [N, C] float64 in 0..1 against labels [N, C] int8: 1 for a class that is right, else 0, or UNKNOWN.

    `mAP`: average precision (`harness.metrics.labels.average_precision`), its mean over the classes with a positive.
    `macro-F1`: F1 at 0.5, the mean over the classes that are right or predicted somewhere. `micro-F1`: F1 at 0.5 over
    all labels at once. All 0..1. A class is predicted where its score is above 0.5, not equal (as in torchmetrics).
    `NLL`: binary cross-entropy in nats, of scores clipped to 1e-7..1-1e-7, and `Brier`: squared error, 0..1, both the
    mean over all known labels; lower is better. What a sample scores by itself is, for `mAP`, the average precision of
    its own ranking of the classes, and for both F1 that of its own labels; NaN where that is not defined.

    Raises DataError for no samples, shapes or names that do not fit, scores that are not in 0..1, labels that are
    not 0, 1 or UNKNOWN (naming row and class) and a data set without any positive.
    """
    _check(scores, labels, class_names)
    known, positive = labels != UNKNOWN, labels == 1
    predicted = (scores > THRESHOLD) & known
    micro = SumStatistics(_f1_parts(positive, predicted), ratio_of_sums)
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    cross_entropy = -np.log(np.where(positive, clipped, 1 - clipped))
    return {
        "mAP": MeanAveragePrecision(
            tuple(ranking(scores[:, index], labels[:, index]) for index in np.flatnonzero(positive.any(axis=0))),
            per_sample=precisions_within(np.where(known, scores, _LAST), positive.astype(np.int8))[1],
        ),
        "macro-F1": MeanF1(
            members=_rows(positive),
            hits=_rows(positive & predicted),
            predicted=_rows(predicted),
            per_sample=micro.per_sample,
        ),
        "micro-F1": micro,
        "NLL": _mean_over_known(cross_entropy, known, (0.0, -math.log(_CLIP))),
        "Brier": _mean_over_known((scores - labels) ** 2, known, (0.0, 1.0)),
    }


def _check(scores: FloatArray, labels: Labels, class_names: Sequence[str]) -> None:
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise DataError(
            f"Scores of shape {scores.shape} and labels of shape {labels.shape} do not fit. Give both as [N, C]."
        )
    if scores.size == 0:
        raise DataError(
            f"There is nothing to score: {scores.shape[0]} samples, {scores.shape[1]} classes. "
            "Check that the split is not empty and that every sample has a prediction."
        )
    check_class_names(class_names, scores.shape[1])
    _refuse(~((scores >= 0) & (scores <= 1)), scores, class_names, "score", "the sigmoid of the logit, in 0..1")
    strange = (labels != 0) & (labels != 1) & (labels != UNKNOWN)
    _refuse(strange, labels, class_names, "label", f"1 where the class is right, else 0, or {UNKNOWN} where unknown")
    if not (labels == 1).any():
        raise DataError("No sample has any label, so that there is no precision or recall. Check the labels' file.")


def _refuse(wrong: BoolArray, numbers: FloatArray | Labels, class_names: Sequence[str], what: str, wanted: str) -> None:
    if wrong.any():
        row, index = np.argwhere(wrong)[0]
        raise DataError(f"Row {row} has the {what} {numbers[row, index]} for {class_names[index]!r}. Give {wanted}.")


def _mean_over_known(errors: FloatArray, known: BoolArray, bounds: tuple[float, float]) -> Statistics:
    """[N, C] errors and which of them count -> their mean; a plain mean over samples where all do."""
    if known.all():
        return MeanStatistics(errors.mean(axis=1), bounds)
    parts = np.stack([np.where(known, errors, 0.0).sum(axis=1), known.sum(axis=1)], axis=1)
    return SumStatistics(parts, ratio_of_sums, bounds)


def _f1_parts(positive: BoolArray, predicted: BoolArray) -> FloatArray:
    hits = (positive & predicted).sum(axis=1)
    return np.stack([2.0 * hits, positive.sum(axis=1) + predicted.sum(axis=1)], axis=1)


def _rows(mask: BoolArray) -> scipy.sparse.csr_array:
    """[N, K] -> [K, N] ones where true."""
    return scipy.sparse.csr_array(mask.T, dtype=np.float64)
