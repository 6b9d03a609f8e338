"""Answers as numbers whose distribution a shift may move: one row an answer, whatever its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.answers import (
    BOXES,
    CAPTIONS,
    LABELS,
    LEAST_SCORE,
    MAPS,
    decode_label_map,
    is_label,
)
from harness.sample import Prediction, TaskSpec
from harness.stats.shift_tests import FloatRows

_MOST_COLUMNS = 256
"""Of more classes the commonest ones of both samples together are compared."""


def answer_columns(spec: TaskSpec, answers: Sequence[Prediction]) -> FloatRows:
    """Turn answers of one task into `[N, k]`.

    Labels: the probability of each class, or 1 for the class alone. Captions and other texts: words and letters. Boxes:
    how many of each class have a score, the highest score. Label maps: the share of each class. Scores of choices: the
    highest, the margin to the next.
    """
    classes = len(spec.classes)
    rows = [_row(spec.answers, answer, classes) for answer in answers]
    table = np.asarray(rows, dtype=np.float64)
    if table.shape[1] <= _MOST_COLUMNS:
        return table
    return table[:, :_MOST_COLUMNS]


def _row(form: str, answer: Any, classes: int) -> list[float]:
    if isinstance(answer, str) or form == CAPTIONS:
        return [float(len(str(answer).split())), float(len(str(answer)))]
    if form == LABELS:
        return [float(answer == place) for place in range(classes)] if is_label(answer) else list(map(float, answer))
    if form == BOXES:
        seen = [int(box[0]) for box in answer if box[1] >= LEAST_SCORE]
        return [*(float(seen.count(place)) for place in range(classes)), max((box[1] for box in answer), default=0.0)]
    if form == MAPS:
        labels = decode_label_map(answer)
        counts = np.bincount(labels[labels < classes].ravel(), minlength=classes)
        return list((counts / max(1, labels.size)).astype(float))
    ordered = sorted(map(float, answer), reverse=True)
    return [ordered[0], ordered[0] - ordered[1]] if len(ordered) > 1 else [*ordered, 0.0]


def confidence_of(answer: Prediction) -> float:
    """Give the highest probability of a label answer."""
    return float(max(answer))
