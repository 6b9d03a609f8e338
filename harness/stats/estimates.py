"""Puts an interval around each metric: the kind that fits it, or none where the samples cannot say how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.protocols import Statistics
from harness.record import Estimate

if TYPE_CHECKING:
    from harness.stats.resampling import FloatArray

NOT_ASKED_FOR = "no interval: 0 resamples"
"""The note of an estimate made without resamples."""
_WORTH_SHARING = 2_000_000  # multiplicities: to copy a process takes some hundredths of a second
_MANY_UNDEFINED = 0.05  # of the resamples; of what three samples inform it is that many


def estimates(
    statistics: Mapping[str, Statistics | None], resamples: int, processes: int = 1
) -> dict[str, Estimate | None]:
    """Put intervals around all metrics; those of single classes are resampled less, there being so many.

    Of 0 resamples there is no interval at all. Much work is shared out among so many `processes`, forked from this one,
    which changes no number. Raises DataError for a metric that is not a finite number.
    """
    few = fewer(resamples)
    found = _estimates(statistics, {n: few if ":" in n else resamples for n in statistics}, processes)
    for name, e in found.items():
        if e is not None and not all(n is None or math.isfinite(n) for n in (e.value, e.low, e.high)):
            raise DataError(
                f"{name} came out as {e.value} [{e.low}, {e.high}], which is no score. Look for answers or targets "
                "that the metric divides by, and let it be absent (None) where it is not defined."
            )
    return found


def fewer(resamples: int) -> int:
    """Of how many resamples intervals are made of which there are many: a fifth, and none only of none.

    >>> fewer(1000), fewer(3), fewer(0)
    (200, 1, 0)
    """
    return min(resamples, max(1, resamples // 5))


def estimate(statistics: Statistics | None, resamples: int) -> Estimate | None:
    """Put a 95 % interval around a metric: Wilson's for a proportion, else by bootstrap; None stays absent.

    So does a metric that is defined on no resample. Samples that share a group (such as an image) are drawn together,
    and so do trials of a proportion count. The count is of the samples on which the metric is defined. One image says
    nothing of how images differ, so such a number has no interval, and neither has one that is the same on all of
    them where it could be any other: its note says so. Of 0 resamples there is none.
    """
    return _estimates({"": statistics}, {"": resamples})[""]


@dataclass(frozen=True)
class _Open:
    """A metric whose interval needs resamples."""

    statistics: Statistics
    resamples: int
    images: int
    count: int

    @property
    def groups(self) -> Sequence[Hashable] | None:
        """[N] which samples are drawn together."""
        return _groups_of(self.statistics)


def _estimates(
    statistics: Mapping[str, Statistics | None], resamples: Mapping[str, int], processes: int = 1
) -> dict[str, Estimate | None]:
    """Put intervals around metrics; those of the same samples in the same groups are resampled together."""
    import numpy as np

    from harness.stats.intervals import scored_blocks
    from harness.stats.resampling import informs
    from harness.stats.shared_out import shared_out

    found = {name: _begun(one, resamples[name]) for name, one in statistics.items()}
    together: dict[tuple[int, tuple[Hashable, ...] | None], list[str]] = {}
    for name, one in found.items():
        if isinstance(one, _Open):
            groups = None if one.groups is None else tuple(one.groups)
            together.setdefault((len(informs(one.statistics)), groups), []).append(name)
    ends: dict[str, Estimate | None] = {}
    for (size, groups), names in together.items():
        members = [one for name in names if isinstance(one := found[name], _Open)]
        blocks = scored_blocks([m.statistics for m in members], [m.resamples for m in members], groups=groups)
        worth_it = size * max(m.resamples for m in members) >= _WORTH_SHARING
        jackknife: Callable[[], Any] = partial(_least_errors, members)
        errors, *scored = shared_out([jackknife, *blocks], processes if worth_it else 1)
        drawn = map(np.concatenate, zip(*scored, strict=True))
        ends |= dict(zip(names, map(_bootstrapped, members, drawn, errors), strict=True))
    return {name: ends[name] if isinstance(one, _Open) else one for name, one in found.items()}


def _begun(statistics: Statistics | None, resamples: int) -> Estimate | _Open | None:
    """The estimate of a metric whose interval needs no resamples."""
    from harness.stats.intervals import informing_groups, wilson
    from harness.stats.proportions import Proportion

    if statistics is None or math.isnan(statistics.value):
        return None
    if not resamples:
        return _put(statistics.value, _count_defined(statistics), None, NOT_ASKED_FOR)
    if isinstance(statistics, Proportion):
        count = len(statistics.successes)
        ends = wilson(int(statistics.successes.sum()), count) if count > 1 else None
        return _put(statistics.value, count, ends, None if ends else too_few(count))
    images = len(informing_groups(statistics, _groups_of(statistics)))
    count = _count_defined(statistics)
    if images < 2:
        return _put(statistics.value, count, None, too_few(images))
    if (shares := _interval_of_shares(statistics)) is not None:
        return _put(statistics.value, count, shares)
    return _Open(statistics, resamples, images, count)


def estimate_difference(a: Statistics, b: Statistics, resamples: int) -> Estimate | None:
    """Put a 95 % interval around what one metric is above another on the same samples, by paired bootstrap."""
    from harness.stats.grouped import GroupedStatistics
    from harness.stats.intervals import DifferenceOf

    between, groups = DifferenceOf(a, b), getattr(a, "groups", None)
    return estimate(between if groups is None else GroupedStatistics(between, groups), resamples)


def _groups_of(statistics: Statistics) -> Sequence[Hashable] | None:
    """Which samples are drawn together, None where each is by itself."""
    groups: Sequence[Hashable] | None = getattr(statistics, "groups", None)
    return groups


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
    from harness.stats.resampling import informs

    defined = informs(statistics)
    return int(defined.sum()) or len(defined)


def _bootstrapped(one: _Open, drawn: FloatArray, error: float) -> Estimate | None:
    """The estimate of a metric from its values on resamples, NaN where it is undefined."""
    from harness.stats.intervals import NO_WIDTH, percentile_interval

    value = one.statistics.value
    found = percentile_interval(one.statistics, drawn, groups=one.groups, error=error)
    if not found.defined:
        return None
    share = found.undefined / (found.defined + found.undefined)
    note = f"undefined on {share:.0%} of resamples" if share > _MANY_UNDEFINED else None
    if found.high - found.low > NO_WIDTH:
        return _put(value, one.count, (found.low, found.high), note)
    if found.defined == 1:
        return _put(value, one.count, None, "too few: 1 resample")
    ends = _interval_of_alike(one.statistics, one.images)
    return _put(value, one.count, ends, note if ends else f"all {one.images} images score alike")


def _least_errors(members: Sequence[_Open]) -> list[float]:
    """The standard errors that intervals must allow for: the jackknife's, where resamples vary too little.

    Of means they vary as they should, but where images are too few. `members` are metrics of the same samples.
    """
    from harness.stats.intervals import informing_groups, jackknife_together

    together: dict[tuple[int, bytes], list[int]] = {}
    for place, one in enumerate(members):
        if _varies_too_little(one):
            own = informing_groups(one.statistics, one.groups).tobytes()
            together.setdefault((one.resamples, own), []).append(place)
    errors = [0.0] * len(members)
    for (most, _), places in together.items():
        found = jackknife_together([members[place].statistics for place in places], members[places[0]].groups, most)
        for place, error in zip(places, found, strict=True):
            errors[place] = error
    return errors


def _varies_too_little(one: _Open) -> bool:
    """Whether resamples of a metric may vary less than it does."""
    from harness.stats.intervals import FEWEST_FOR_PERCENTILES
    from harness.stats.resampling import MeanStatistics

    inner = _inner(one.statistics)
    return one.images < FEWEST_FOR_PERCENTILES or (not isinstance(inner, MeanStatistics) and is_smooth(inner))


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
