"""Puts an interval around each metric: the kind that fits it, or none where it is not defined."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.protocols import Statistics
from harness.record import Estimate

_NO_WIDTH = 1e-12


def estimates(statistics: Mapping[str, Statistics | None], resamples: int) -> dict[str, Estimate | None]:
    """Put intervals around all metrics; those of single classes are resampled less, there being so many."""
    few = max(1, resamples // 5)
    return {name: estimate(s, few if ":" in name else resamples) for name, s in statistics.items()}


def estimate(statistics: Statistics | None, resamples: int) -> Estimate | None:
    """Put a 95 % interval around a metric: Wilson's for a proportion, else by bootstrap; None stays absent.

    So does a metric that is defined on no resample, such as that of a class with a single sample. Samples that share
    a group (such as an image) are drawn together, and so do trials of a proportion count.
    """
    from harness.metrics.proportions import Proportion
    from harness.uncertainty import bootstrap_interval, wilson

    if statistics is None:
        return None
    if isinstance(statistics, Proportion):
        count = len(statistics.successes)
        return Estimate(statistics.value, *wilson(int(statistics.successes.sum()), count), count)
    count = len(statistics.per_sample)
    shares = _interval_of_shares(statistics)
    low, high = shares or bootstrap_interval(statistics, resamples, groups=getattr(statistics, "groups", None))
    if math.isnan(low):
        return None
    if _is_extreme(statistics, low, high):
        low, high = _interval_of_extremes(statistics)
    return Estimate(statistics.value, low, high, count)


def _interval_of_shares(statistics: Statistics) -> tuple[float, float] | None:
    """Wilson's interval of a proportion whose trials come in groups; None for all else."""
    import numpy as np

    from harness.metrics.grouped import GroupedStatistics
    from harness.metrics.proportions import Proportion
    from harness.uncertainty import clustered_wilson

    if not (isinstance(statistics, GroupedStatistics) and isinstance(statistics.statistics, Proportion)):
        return None
    tried = ~np.isnan(statistics.per_sample)
    groups = [group for group, trial in zip(statistics.groups, tried, strict=True) if trial]
    return clustered_wilson(statistics.per_sample[tried], groups)


def _is_extreme(statistics: Statistics, low: float, high: float) -> bool:
    """Tell whether all resamples are 0, or all 1, of a metric that has no other range: a mean of scores may have."""
    from harness.metrics.resampling import MeanStatistics

    inner = getattr(statistics, "statistics", statistics)
    return not isinstance(inner, MeanStatistics) and high - low < _NO_WIDTH and min(abs(low), abs(1 - low)) < _NO_WIDTH


def _interval_of_extremes(statistics: Statistics) -> tuple[float, float]:
    """Wilson's interval where a metric is 0, or 1, on every resample: a bootstrap would claim to be certain.

    Each group that the metric is defined on counts as a trial that ended alike.
    """
    import numpy as np

    from harness.uncertainty import wilson

    groups = getattr(statistics, "groups", None) or range(len(statistics.per_sample))
    defined = ~np.isnan(statistics.per_sample)
    count = len({group for group, known in zip(groups, defined, strict=True) if known})
    return wilson(round(statistics.value) * count, count)
