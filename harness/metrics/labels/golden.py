"""Golden inputs of label metrics: a fixed case with known scores, checked before scoring, and the signature.

The known scores were computed by scikit-learn 1.9 (top-1, top-5, F1, recall, log loss, average precision) and
torchmetrics 1.9 (ECE), and those of equal-mass bins and of unseen classes from their definitions, step by step;
tests/harness/metrics/labels/test_golden.py computes them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.metrics.answered import Answered
from harness.metrics.metric import Golden, check_golden
from harness.sample import Classes

if TYPE_CHECKING:
    from harness.protocols import Statistics

LABEL_VERSION = 2
"""Of the implementation, zero-shot metrics included: raise it whenever a score may change."""
_TOLERANCE = 1e-6  # torchmetrics computes in single precision

GOLDEN_PROBABILITIES = (
    (0.70, 0.10, 0.15, 0.05), (0.24, 0.41, 0.20, 0.15), (0.05, 0.05, 0.85, 0.05), (0.30, 0.35, 0.25, 0.10),
    (0.10, 0.61, 0.19, 0.10), (0.05, 0.15, 0.25, 0.55), (0.45, 0.05, 0.40, 0.10), (0.20, 0.20, 0.10, 0.50),
)  # fmt: skip
GOLDEN_LABELS = (0, 1, 2, 0, 2, 3, 2, 3)
LABEL_SCORES = {
    "top-1": 0.625,
    "macro-F1": 0.625,
    "balanced-accuracy": 0.7083333333333333,
    "NLL": 0.8103463646321999,
    "Brier": 0.44517500000000004,
    "ECE": 0.3125,
    "adaptive-ECE": 0.33233333333333337,
}
GOLDEN_NULLS = {"ECE-null": 0.3948675, "adaptive-ECE-null": 0.3831133333333333}
"""Expected over all 2^8 outcomes of the eight samples, whatever is drawn."""
_NULL_TOLERANCE = 0.01  # of 1,000 draws
GOLDEN_MULTILABEL_SCORES = {
    "mAP": 0.7916666666666666,
    "macro-F1": 0.4583333333333333,
    "micro-F1": 0.5,
    "NLL": 0.35624095834617675,
    "Brier": 0.11129375,
}
"""Of the probabilities taken as scores of four labels, label i being there where `GOLDEN_LABELS` says so."""
GOLDEN_SEEN = (False, True, False, True)
GOLDEN_ZERO_SHOT_SCORES = {
    "unseen-top-1": 0.8,
    "S": 1.0,
    "U": 0.4166666666666667,
    "H": 0.5882352941176471,
    "AUSUC": 0.6666666666666666,
}
"""With the classes of `GOLDEN_SEEN` as the seen ones."""
GOLDEN_SIX = (
    (0.30, 0.25, 0.20, 0.12, 0.08, 0.05), (0.05, 0.10, 0.15, 0.20, 0.28, 0.22), (0.16, 0.17, 0.18, 0.19, 0.14, 0.16),
)  # fmt: skip
GOLDEN_SIX_LABELS = (5, 0, 1)
GOLDEN_TOP_5 = 0.3333333333333333
"""Of six classes, since of five it would always be 1."""


_CLASSES = tuple(str(index) for index in range(len(GOLDEN_PROBABILITIES[0])))
_SINGLE = Answered.of_labels(GOLDEN_LABELS, GOLDEN_PROBABILITIES, Classes(_CLASSES))
LABEL_CASES = (
    Golden(_SINGLE, LABEL_SCORES, _TOLERANCE, "single-label"),
    Golden(_SINGLE, GOLDEN_NULLS, _NULL_TOLERANCE, "nulls of calibration errors"),
    Golden(
        Answered.of_labels(GOLDEN_SIX_LABELS, GOLDEN_SIX, Classes(tuple("abcdef"))),
        {"top-5": GOLDEN_TOP_5}, _TOLERANCE, "six classes",
    ),
    Golden(
        Answered.of_labels(
            [[int(index == label) for index in range(len(_CLASSES))] for label in GOLDEN_LABELS],
            GOLDEN_PROBABILITIES, Classes(_CLASSES, multilabel=True),
        ),
        GOLDEN_MULTILABEL_SCORES, _TOLERANCE, "multi-label",
    ),
    Golden(
        Answered.of_labels(GOLDEN_LABELS, GOLDEN_PROBABILITIES, Classes(_CLASSES, seen=GOLDEN_SEEN)),
        GOLDEN_ZERO_SHOT_SCORES, _TOLERANCE, "zero-shot",
    ),
)  # fmt: skip


def label_scores(answered: Answered) -> Mapping[str, Statistics]:
    """Score probabilities by every metric that such data has: one class or several a sample, unseen classes or none."""
    import numpy as np

    from harness.metrics.labels.classification import classification_statistics
    from harness.metrics.labels.multilabel import multilabel_statistics
    from harness.metrics.labels.zero_shot import zero_shot_statistics

    classes, probabilities = answered.classes, np.array(answered.predictions, dtype=np.float64)
    if classes.multilabel:
        return multilabel_statistics(probabilities, answered.label_table, classes.names)
    found = classification_statistics(probabilities, answered.labels, classes.names)
    if classes.seen and not all(classes.seen):
        return zero_shot_statistics(probabilities, answered.labels, np.array(classes.seen)) | found
    return found


def check_label_metrics() -> str:
    """Score the golden cases and return the signature; raises MetricDrift at the first score that differs."""
    for case in LABEL_CASES:
        check_golden(label_scores(case.inputs), case)
    return f"labels:v{LABEL_VERSION}|ece:15,null=bernoulli|adaptive-ece:15|ap:all-points|ties:miss|macro-f1:union"
