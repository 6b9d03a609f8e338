"""Checks of predicted probabilities and labels, each error naming the first row that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.answers import NO_CLASS
from harness.errors import DataError
from harness.stats.resampling import BoolArray, FloatArray, IntArray

_SUM_TOLERANCE = 1e-3


def top_class(scores: FloatArray) -> IntArray:
    """[N, C] -> [N] the class of the highest score, NO_CLASS where several share it."""
    alone = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(alone, scores.argmax(axis=1), NO_CLASS)


def check_class_names(class_names: Sequence[str], classes: int) -> None:
    """Raise DataError unless there are `classes` different names."""
    if len(class_names) != classes:
        raise DataError(
            f"The predictions have {classes} columns but there are {len(class_names)} classes. "
            "Give one column for each class, in the order of the class names."
        )
    seen: set[str] = set()
    for name in class_names:
        if name in seen:
            raise DataError(f"The class name {name!r} occurs twice. Give each class a name of its own.")
        seen.add(name)


def check_shapes(shape: tuple[int, ...], labels: IntArray) -> None:
    """Raise DataError unless scores of this shape are at least one row [N, C], with a label [N] for each."""
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise DataError(
            f"Scores of shape {shape} and labels of shape {labels.shape} do not fit. Give scores [N, C] and labels [N]."
        )
    if 0 in shape:
        raise DataError(
            f"There is nothing to score: {shape[0]} samples, {shape[1]} classes. "
            "Check that the split is not empty and that every sample has a prediction."
        )


def check_labels(labels: IntArray, classes: int) -> None:
    """Raise DataError unless all labels [N] are integers in 0..classes-1."""
    if labels.dtype.kind not in "iu":
        raise DataError(f"Labels are of type {labels.dtype}. Give the index of the class, as integers.")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise DataError(
            f"Row {wrong[0]} has the label {labels[wrong[0]]}, but there are {classes} classes. "
            f"Give labels in 0..{classes - 1}."
        )


def check_probabilities(probabilities: FloatArray) -> None:
    """Raise DataError unless all rows [N, C] are finite, not negative and sum to 1 within 1e-3."""
    wrong = np.flatnonzero(~are_probabilities(probabilities))
    if wrong.size == 0:
        return
    row = probabilities[wrong[0]]
    if not np.isfinite(row).all():
        seen = f"holds {row[~np.isfinite(row)][0]} for class {np.flatnonzero(~np.isfinite(row))[0]}"
    elif row.min() < 0:
        seen = f"holds {row.min():.6g} for class {row.argmin()}"
    else:
        with np.errstate(over="ignore"):
            seen = f"sums to {row.sum():.6g}"
    raise DataError(
        f"Row {wrong[0]} of the probabilities {seen} ({wrong.size} such rows). "
        f"Each row must be finite, not negative and sum to 1 within {_SUM_TOLERANCE:g}: take the softmax of logits."
    )


def are_probabilities(probabilities: FloatArray) -> BoolArray:
    """[N, C] -> [N] which rows are finite, not negative and sum to 1 within 1e-3."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, or a sum over the largest float: both are refused
        sums = probabilities.sum(axis=1)
        good = np.isfinite(sums) & (probabilities.min(axis=1) >= 0) & (np.abs(sums - 1) <= _SUM_TOLERANCE)
    return np.asarray(good, dtype=np.bool_)
