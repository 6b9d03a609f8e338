"""Which way metrics are read: of some, less is better, and headings say so."""

from __future__ import annotations

LOWER_IS_BETTER = frozenset(
    {"NLL", "Brier", "ECE", "adaptive-ECE", "mCE", "relative mCE", "MMI image", "MMI text"}
)  # fmt: skip
"""The harness's own metrics. The null of a calibration error has no direction: it says what chance alone makes."""
DOWN = "↓"


def is_better_low(metric: str) -> bool:
    """Tell whether less is better, of a metric, of one class's share of it, or of it on a slice or for a reference.

    >>> is_better_low("NLL"), is_better_low("ECE[night]"), is_better_low("mCE@alexnet"), is_better_low("top-1")
    (True, True, True, False)
    """
    base = metric.partition("[")[0].partition(":")[0].partition("@")[0]
    return base in LOWER_IS_BETTER


def marked(metric: str) -> str:
    """Put an arrow behind the name of a metric of which less is better.

    >>> marked("NLL"), marked("top-1")
    ('NLL ↓', 'top-1')
    """
    return f"{metric} {DOWN}" if is_better_low(metric) else metric
