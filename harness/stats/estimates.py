"""Puts an interval around each metric: the kind that fits it, or none where the samples cannot say how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.errors import DataError
from harness.protocols import Statistics
from harness.record import Estimate

_MANY_UNDEFINED = 0.05  # of the resamples; of what three samples inform it is that many


def estimates(statistics: Mapping[str, Statistics | None], resamples: int) -> dict[str, Estimate | None]:
    """Put intervals around all metrics; those of single classes are resampled less, there being so many.

    Raises DataError for one that is not a finite number.
    """
    few = max(1, resamples // 5)
    found = {name: estimate(s, few if ":" in name else resamples) for name, s in statistics.items()}
    for name, e in found.items():
        if e is not None and not all(n is None or math.isfinite(n) for n in (e.value, e.low, e.high)):
            raise DataError(
                f"{name} came out as {e.value} [{e.low}, {e.high}], which is no score. Look for answers or targets "
                "that the metric divides by, and let it be absent (None) where it is not defined."
            )
    return found


def estimate(statistics: Statistics | None, resamples: int) -> Estimate | None:
    """Put a 95 % interval around a metric: Wilson's for a proportion, else by bootstrap; None stays absent.

    So does a metric that is defined on no resample. Samples that share a group (such as an image) are drawn together,
    and so do trials of a proportion count. The count is of the samples on which the metric is defined. One image says
    nothing of how images differ, so such a number has no interval, and neither has one that is the same on all of
    them where it could be any other: its note says so.
    """
    from harness.stats.intervals import informing_groups, wilson
    from harness.stats.proportions import Proportion

    if statistics is None or math.isnan(statistics.value):
        return None
    if isinstance(statistics, Proportion):
        count = len(statistics.successes)
        ends = wilson(int(statistics.successes.sum()), count) if count > 1 else None
        return _put(statistics.value, count, ends, None if ends else too_few(count))
    images = len(informing_groups(statistics, getattr(statistics, "groups", None)))
    count = _count_defined(statistics)
    if images < 2:
        return _put(statistics.value, count, None, too_few(images))
    if (shares := _interval_of_shares(statistics)) is not None:
        return _put(statistics.value, count, shares)
    return _bootstrapped(statistics, resamples, images, count)


def estimate_difference(a: Statistics, b: Statistics, resamples: int) -> Estimate | None:
    """Put a 95 % interval around what one metric is above another on the same samples, by paired bootstrap."""
    from harness.stats.grouped import GroupedStatistics
    from harness.stats.intervals import DifferenceOf

    between, groups = DifferenceOf(a, b), getattr(a, "groups", None)
    return estimate(between if groups is None else GroupedStatistics(between, groups), resamples)


def too_few(images: int) -> str:
    """Say that so many images, samples that share one counted once, cannot tell how sure a number is.

    >>> too_few(1)
    'too few: 1 image'
    """
    return f"too few: {images} image{'' if images == 1 else 's'}"


def _put(value: float, count: int, ends: tuple[float, float] | None, note: str | None = None) -> Estimate:
    """Make an estimate; rounding must not leave the value outside."""
    if ends is None:
        return Estimate(value, None, None, count, note)
    return Estimate(value, min(ends[0], value), max(ends[1], value), count, note)


def _count_defined(statistics: Statistics) -> int:
    """How many samples inform a metric: those with a score of their own, or all where none has one."""
    import numpy as np

    return int((~np.isnan(statistics.per_sample)).sum()) or len(statistics.per_sample)


def _bootstrapped(statistics: Statistics, resamples: int, images: int, count: int) -> Estimate | None:
    from harness.stats.intervals import NO_WIDTH, bootstrap

    groups = getattr(statistics, "groups", None)
    found = bootstrap(statistics, resamples, groups=groups, error=_least_error(statistics, resamples, images))
    if not found.defined:
        return None
    share = found.undefined / (found.defined + found.undefined)
    note = f"undefined on {share:.0%} of resamples" if share > _MANY_UNDEFINED else None
    if found.high - found.low > NO_WIDTH:
        return _put(statistics.value, count, (found.low, found.high), note)
    if found.defined == 1:
        return _put(statistics.value, count, None, "too few: 1 resample")
    ends = _interval_of_alike(statistics, images)
    return _put(statistics.value, count, ends, note if ends else f"all {images} images score alike")


def _least_error(statistics: Statistics, resamples: int, images: int) -> float:
    """The standard error that an interval must allow for: the jackknife's, where resamples vary too little.

    Of means they vary as they should, but where images are too few.
    """
    from harness.stats.intervals import FEWEST_FOR_PERCENTILES, jackknife_error
    from harness.stats.resampling import MeanStatistics

    inner = _inner(statistics)
    if (isinstance(inner, MeanStatistics) or not is_smooth(inner)) and images >= FEWEST_FOR_PERCENTILES:
        return 0.0
    return jackknife_error(statistics, getattr(statistics, "groups", None), most=resamples)


def is_smooth(statistics: Statistics) -> bool:
    """Whether a jackknife holds for a metric: not for calibration errors, which are sums of absolute values."""
    return bool(getattr(statistics, "smooth", True))


def _interval_of_shares(statistics: Statistics) -> tuple[float, float] | None:
    """Wilson's interval of a proportion whose trials come in groups; None for all else."""
    import numpy as np

    from harness.stats.grouped import GroupedStatistics
    from harness.stats.intervals import clustered_wilson
    from harness.stats.proportions import Proportion

    if not (isinstance(statistics, GroupedStatistics) and isinstance(statistics.statistics, Proportion)):
        return None
    tried = ~np.isnan(statistics.per_sample)
    groups = [group for group, trial in zip(statistics.groups, tried, strict=True) if trial]
    return clustered_wilson(statistics.per_sample[tried], groups)


def _interval_of_alike(statistics: Statistics, images: int) -> tuple[float, float] | None:
    """The interval of a metric that is the same on every resample: a bootstrap would claim to be certain.

    Of so many images that score alike Wilson's bound says how large a share of others may be; these could score
    anything that the metric can. None where its range is not known, as of a mean of any scores.
    """
    from harness.stats.intervals import wilson

    known, value = _range_of(statistics), statistics.value
    if known is None:
        return None
    alike, others = wilson(images, images)[0], wilson(0, images)[1]
    return value * alike + known[0] * (1 - alike), value + (known[1] - value) * others


def _range_of(statistics: Statistics) -> tuple[float, float] | None:
    """The least and most that a metric can be: as it says, of a difference by its parts, 0..1 of any other in there."""
    from harness.stats.intervals import DifferenceOf
    from harness.stats.resampling import MeanStatistics

    inner = _inner(statistics)
    if isinstance(inner, DifferenceOf):
        a, b = _range_of(inner.a), _range_of(inner.b)
        return None if a is None or b is None else (a[0] - b[1], a[1] - b[0])
    known: tuple[float, float] | None = getattr(inner, "bounds", None)
    if known is None and not isinstance(inner, MeanStatistics) and 0 <= inner.value <= 1:
        return 0.0, 1.0
    return known


def _inner(statistics: Statistics) -> Statistics:
    """The metric itself, where its samples come in groups."""
    inner: Statistics = getattr(statistics, "statistics", statistics)
    return inner
