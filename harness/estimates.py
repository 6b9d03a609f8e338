"""Puts an interval around each metric: the kind that fits it, or none where it is not defined."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.protocols import Statistics
from harness.record import Estimate


def estimates(statistics: Mapping[str, Statistics | None], resamples: int) -> dict[str, Estimate | None]:
    """Put intervals around all metrics; those of single classes are resampled less, there being so many."""
    few = max(1, resamples // 5)
    return {name: estimate(s, few if ":" in name else resamples) for name, s in statistics.items()}


def estimate(statistics: Statistics | None, resamples: int) -> Estimate | None:
    """Put a 95 % interval around a metric: Wilson's for a proportion, else by bootstrap; None stays absent.

    So does a metric that is defined on no resample, such as that of a class with a single sample.
    """
    from harness.metrics.proportions import Proportion
    from harness.uncertainty import bootstrap_interval, wilson

    if statistics is None:
        return None
    if isinstance(statistics, Proportion):
        count = len(statistics.successes)
        return Estimate(statistics.value, *wilson(int(statistics.successes.sum()), count), count)
    low, high = bootstrap_interval(statistics, resamples, groups=getattr(statistics, "groups", None))
    if math.isnan(low):
        return None
    return Estimate(statistics.value, low, high, len(statistics.per_sample))
