"""What separates two models by one metric: the difference with its interval, p, flips, smallest detectable change."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from harness.record import Estimate
from harness.stats.contributions import contributions
from harness.stats.estimates import is_smooth, too_few
from harness.stats.intervals import DifferenceOf, informing_groups, jackknife_error, paired_difference, wilson
from harness.stats.proportions import Proportion
from harness.stats.randomisation import joins_both, swap_p, swap_p_of_mean
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics, Statistics
from harness.stats.seed_variance import join_reaches, shared_part, standard_error, without_interval
from harness.stats.significance import mcnemar_p
from harness.stats.slices import SeedMean, counted_rows, groups_of, ungrouped
from harness.stats.t_distribution import t_cdf, t_quantile

_Z, _Z_POWER = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)
_ALPHA = 0.05
_JUST_NOT = math.nextafter(_ALPHA, 1.0)
_NOTHING = 1e-12
"""A standard error below this is the rounding of equal numbers."""
SWAPS, BOOTSTRAP, WELCH = "approximate randomisation", "paired bootstrap", "unpaired, Welch"
INTERVAL = "the interval's, which holds 0"


@dataclass(frozen=True)
class Flips:
    """Of samples that are right or wrong: how many only one model has right, and McNemar's exact p.

    `p` is None where samples share images or seeds are averaged: flips are not independent then.
    """

    only_a: int
    only_b: int
    p: float | None


@dataclass(frozen=True)
class Difference:
    """A - B by one metric, in its unit; `low` and `high` hold 95 %, seeds' variance included where there are several.

    `p` is two-sided, of no difference in the sampling of the test set; `seed_p` of none between seeds (paired t).
    `sampling_sd` and `seed_sd` are the standard errors of the difference from the one and the other. The smallest
    detectable change is found in 4 of 5 such experiments; None where nothing varied. `low` and `high` are None where
    the samples cannot say how sure the difference is; `note` then says why. `count` is of the samples that inform it.
    """

    metric: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_method: str
    count: int
    smallest_detectable_change: float | None
    sampling_sd: float | None
    seed_sd: float | None = None
    seed_p: float | None = None
    by_seed: tuple[float, ...] = ()
    flips: Flips | None = None
    note: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def told_apart(self) -> bool:
        """Whether both the interval and p exclude that there is no difference, where there is a p."""
        ends = self.interval
        return ends is not None and (ends[0] > 0 or ends[1] < 0) and (self.p is None or self.p <= _ALPHA)

    @property
    def alike(self) -> bool:
        """Whether nothing differs, in no sample."""
        return self.difference == 0 and self.sampling_sd is not None and self.sampling_sd <= _NOTHING

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "told_apart": self.told_apart}


@dataclass(frozen=True)
class Draws:
    """How often to draw: resamples behind an interval, swaps behind the p of a mean and of any other metric."""

    resamples: int = 1000
    swaps: int = 10_000
    joint_swaps: int = 1000


def paired(
    metric: str, a: Sequence[Statistics], b: Sequence[Statistics], joints: Sequence[Statistics | None], draws: Draws
) -> Difference | None:
    """Compare the same metric of two models on the same samples, a seed of one beside a seed of the other.

    `joints` are the metric on the joint set of each pair of seeds, where that was made. None where the metric is
    undefined on every resample.
    """
    mean_a, mean_b = _over_seeds(a), _over_seeds(b)
    groups = groups_of(a[0])
    rows = _common_rows(a, b)
    between = DifferenceOf(mean_a, mean_b)
    error = (
        0.0
        if rows is not None or not is_smooth(ungrouped(a[0]))
        else jackknife_error(between, groups, most=draws.resamples)
    )
    found = paired_difference(mean_a, mean_b, draws.resamples, groups=groups, error=error)
    if math.isnan(found.low):
        return None
    p: float | None
    values = mean_a.per_sample - mean_b.per_sample
    clusters: Sequence[Hashable] = range(len(values)) if groups is None else groups
    if rows is not None:
        own = [clusters[row] for row in rows]
        p, method = swap_p_of_mean(values[rows], own, draws.swaps), SWAPS
    elif joint := _fitting(joints, a, b):
        p, method = _number(swap_p(joint, found.difference, clusters, draws.joint_swaps)), SWAPS
    else:
        p, method = found.p, BOOTSTRAP
    interval = (found.low, found.high)
    flips, images = None, len(informing_groups(between, groups))
    if rows is not None and len(a) == 1 and (right := _right_or_wrong(a[0], b[0], rows)) is not None:
        flips = _flips(*right, independent=groups is None)
        if groups is None:
            interval = newcombe(*right)
    note = _why_without(interval, found.difference, images)
    if images < 2:
        p = None
    sampling = found.smallest_detectable_change / (_Z + _Z_POWER)
    of_samples = Difference(
        metric=metric,
        a=mean_a.value,
        b=mean_b.value,
        difference=found.difference,
        low=None if note else interval[0],
        high=None if note else interval[1],
        p=p,
        p_method=method,
        count=int((~np.isnan(values)).sum()) if rows is None else len(rows),
        smallest_detectable_change=_positive(found.smallest_detectable_change),
        sampling_sd=None if images < 2 else sampling,
        by_seed=tuple(one.value - other.value for one, other in zip(a, b, strict=True)),
        flips=flips,
        note=note,
    )
    whole = of_samples if len(a) == 1 else _with_seeds(of_samples, _shared_by_seeds(a, b, clusters))
    return _agreeing(whole)


def _why_without(interval: tuple[float, float], difference: float, images: int) -> str | None:
    """Say why a difference has no interval, None where it has one: of one image, or where nothing varies."""
    if images < 2:
        return too_few(images)
    if interval[1] - interval[0] > _NOTHING:
        return None
    return "no sample differs" if abs(difference) <= _NOTHING else f"all {images} images differ alike"


def _agreeing(found: Difference) -> Difference:
    """Let no p of at most 5 % stand beside an interval that holds 0: they are made in two ways, so p is the interval's.

    In units of the interval's own reach towards 0, as of a normal error.
    """
    ends = found.interval
    if ends is None or found.p is None or found.p > _ALPHA or not ends[0] <= 0 <= ends[1]:
        return found
    reach = abs(found.difference - (ends[0] if found.difference > 0 else ends[1]))
    p = 2 * NormalDist().cdf(-_Z * abs(found.difference) / reach) if reach > 0 else 1.0
    return replace(found, p=max(p, _JUST_NOT), p_method=INTERVAL)


def unpaired(metric: str, a: Estimate, b: Estimate) -> Difference:
    """Compare two estimates from different samples: two intervals, Welch's way (1947).

    The standard error of each is a quarter of its interval's width, near enough.
    """
    difference, errors = a.value - b.value, (standard_error(a), standard_error(b))
    if errors[0] is None or errors[1] is None:
        count, note = min(a.count, b.count), without_interval([a, b])
        return Difference(metric, a.value, b.value, difference, None, None, None, WELCH, count, None, None, note=note)
    error = math.hypot(errors[0], errors[1])
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error else None
    found = Difference(
        metric=metric,
        a=a.value,
        b=b.value,
        difference=difference,
        low=difference - math.hypot(a.value - a.drawn[0], b.drawn[1] - b.value),
        high=difference + math.hypot(a.drawn[1] - a.value, b.value - b.drawn[0]),
        p=p,
        p_method=WELCH,
        count=min(a.count, b.count),
        smallest_detectable_change=_positive((_Z + _Z_POWER) * error),
        sampling_sd=error,
    )
    return _agreeing(found)


def newcombe(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """Interval of a difference of proportions of the same trials, both [n] 0 or 1.

    Newcombe 1998 (Statistics in Medicine 17, 2635), method 10: Wilson's intervals, put together with the correlation.
    A percentile bootstrap has no width where no answer differs.

    >>> tuple(round(end, 3) for end in newcombe(np.ones(20), np.ones(20)))
    (-0.161, 0.161)
    """
    n = len(a)
    p, q = float(np.mean(a)), float(np.mean(b))
    (low_p, high_p), (low_q, high_q) = (wilson(int(x.sum()), n) for x in (a, b))
    both, only_p, only_q = float(np.sum(a * b)), float(np.sum(a * (1 - b))), float(np.sum((1 - a) * b))
    neither = n - both - only_p - only_q
    scale = math.sqrt(p * (1 - p) * q * (1 - q)) * n * n
    phi = 0.0 if scale == 0 else _continued(both * neither - only_p * only_q, n) / scale
    below, above = p - low_p, high_q - q
    down = math.sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2))
    over, under = high_p - p, q - low_q
    up = math.sqrt(max(0.0, over**2 - 2 * phi * over * under + under**2))
    return p - q - down, p - q + up


def _continued(product: float, n: int) -> float:
    """Newcombe's correction for continuity: a positive association is counted as less, down to none."""
    return max(product - n / 2, 0.0) if product > 0 else product


def _number(p: float) -> float | None:
    return None if math.isnan(p) else p


def _positive(change: float) -> float | None:
    return change if change > _NOTHING else None


def _over_seeds(parts: Sequence[Statistics]) -> Statistics:
    return parts[0] if len(parts) == 1 else SeedMean(tuple(parts))


def _common_rows(a: Sequence[Statistics], b: Sequence[Statistics]) -> IntArray | None:
    """The samples whose mean the metric is for every seed of both models; None where it is none."""
    found = [counted_rows(statistics) for statistics in (*a, *b)]
    first = found[0]
    if first is None or any(rows is None or not np.array_equal(rows, first) for rows in found):
        return None
    return first


def _fitting(joints: Sequence[Statistics | None], a: Sequence[Statistics], b: Sequence[Statistics]) -> list[Statistics]:
    """The joint sets, if there is one for each pair of seeds and it scores each model as it scores alone."""
    if len(joints) != len(a) or not all(joins_both(*each) for each in zip(joints, a, b, strict=True)):
        return []
    return [joint for joint in joints if joint is not None]


def _right_or_wrong(a: Statistics, b: Statistics, rows: IntArray) -> tuple[FloatArray, FloatArray] | None:
    """[n] 1 or 0 for both models, where the metric is a share of right answers; None for any other."""
    both = a.per_sample[rows], b.per_sample[rows]
    shares = all(isinstance(ungrouped(part), Proportion) for part in (a, b))
    means = all(isinstance(ungrouped(part), MeanStatistics) for part in (a, b))
    if not shares and not (means and len(np.unique(np.concatenate(both))) == 2):
        return None
    return both if all(np.isin(values, (0.0, 1.0)).all() for values in both) else None


def _flips(a: FloatArray, b: FloatArray, *, independent: bool) -> Flips:
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return Flips(only_a, only_b, mcnemar_p(only_a, only_b) if independent else None)


def _with_seeds(found: Difference, shared: float) -> Difference:
    """Join the seeds' variance to the interval, as the leaderboard does with scores; `shared` by all is that part."""
    count, d = len(found.by_seed), found.difference
    error = float(np.std(found.by_seed, ddof=1)) / math.sqrt(count)
    quantile = t_quantile(count - 1, 0.975)
    change = join_reaches(found.smallest_detectable_change or 0.0, shared, count, (quantile + _Z_POWER) * error)
    return replace(
        found,
        low=None if found.low is None else d - join_reaches(d - found.low, shared, count, quantile * error),
        high=None if found.high is None else d + join_reaches(found.high - d, shared, count, quantile * error),
        smallest_detectable_change=_positive(change),
        seed_sd=error,
        seed_p=2 * t_cdf(-abs(d) / error, count - 1) if error > _NOTHING else None,
    )


def _shared_by_seeds(a: Sequence[Statistics], b: Sequence[Statistics], clusters: Sequence[Hashable]) -> float:
    """What part of the sampling variance of a seed's difference is the same for every seed, 0..1."""
    each = [contributions(own) - contributions(other) for own, other in zip(a, b, strict=True)]
    return shared_part(np.stack(each, axis=1), [str(cluster) for cluster in clusters])
