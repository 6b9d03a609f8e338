"""The passport of label metrics: a fixed case with known scores, checked before scoring, and the signature.

The known scores were computed by scikit-learn 1.9 (top-1, macro-F1, recall, log loss, average precision) and
torchmetrics 1.9 (ECE); tests/harness/metrics/test_label_passport.py computes them again.
"""

from __future__ import annotations

from harness.metrics.passport import MetricDrift

VERSION = 1
"""Of the implementation: raise it whenever a score may change."""
_TOLERANCE = 1e-6  # torchmetrics computes in single precision

GOLDEN_PROBABILITIES = (
    (0.70, 0.10, 0.15, 0.05), (0.24, 0.41, 0.20, 0.15), (0.05, 0.05, 0.85, 0.05), (0.30, 0.35, 0.25, 0.10),
    (0.10, 0.61, 0.19, 0.10), (0.05, 0.15, 0.25, 0.55), (0.45, 0.05, 0.40, 0.10), (0.20, 0.20, 0.10, 0.50),
)  # fmt: skip
GOLDEN_LABELS = (0, 1, 2, 0, 2, 3, 2, 3)
GOLDEN_SCORES = {
    "top-1": 0.625,
    "macro-F1": 0.625,
    "mean-per-class": 0.7083333333333333,
    "NLL": 0.8103463646321999,
    "Brier": 0.44517500000000004,
    "ECE": 0.3125,
}
GOLDEN_MEAN_AVERAGE_PRECISION = 0.7916666666666666
"""Of the probabilities taken as scores of four labels, label i being there where `GOLDEN_LABELS` says so."""


def check_label_metrics() -> str:
    """Score the golden case and return the signature; raises MetricDrift at the first score that differs."""
    import numpy as np

    from harness.metrics.classification import classification_statistics
    from harness.metrics.multilabel import multilabel_statistics

    probabilities, labels = np.array(GOLDEN_PROBABILITIES), np.array(GOLDEN_LABELS)
    names = [str(index) for index in range(probabilities.shape[1])]
    seen = {name: s.value for name, s in classification_statistics(probabilities, labels, names).items()}
    one_hot = np.eye(probabilities.shape[1], dtype=np.int8)[labels]
    seen["mAP"] = multilabel_statistics(probabilities, one_hot, names)["mAP"].value
    for name, expected in {**GOLDEN_SCORES, "mAP": GOLDEN_MEAN_AVERAGE_PRECISION}.items():
        if not abs(float(seen[name]) - expected) <= _TOLERANCE:
            raise MetricDrift(
                f"{name} gives {float(seen[name])!r} instead of {expected!r} on the golden case. Scores would not be "
                "comparable: restore the installed versions with `uv sync`."
            )
    return f"labels:v{VERSION}|ece:15,null=bernoulli|adaptive-ece:15|ap:all-points|ties:lower-class"
