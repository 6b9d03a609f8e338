"""Between which ends a metric lies where some samples have no answer: all of them wrong, or all of them right."""

from __future__ import annotations

from collections.abc import Mapping

from harness.protocols import Statistics
from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import Proportion
from harness.stats.resampling import MeanStatistics


def unanswered_bounds(answered: Mapping[str, Statistics | None], failed: int) -> dict[str, tuple[float, float] | None]:
    """Give the least and the most that each metric can be when `failed` more samples count; None where nobody knows.

    Known are shares of samples, and means of what samples score between known ends. All else (a corpus score, a mean
    over classes, an area under a curve) may move in ways that these samples do not tell. Metrics of slices and of
    single classes are left out.
    """
    whole = {name: one for name, one in answered.items() if one is not None and "[" not in name and ":" not in name}
    return {name: _bounds(one, failed) for name, one in whole.items()}


def _bounds(statistics: Statistics, failed: int) -> tuple[float, float] | None:
    inner = statistics.statistics if isinstance(statistics, GroupedStatistics) else statistics
    if isinstance(inner, Proportion):
        ends, count = (0.0, 1.0), len(inner.successes)
        if count != len(inner.per_sample):  # only some samples are trials, and of the failed ones nobody knows
            return None
    elif isinstance(inner, MeanStatistics) and inner.bounds is not None:
        ends, count = inner.bounds, len(inner.per_sample)
    else:
        return None
    least, most = ((inner.value * count + end * failed) / (count + failed) for end in ends)
    return least, most
