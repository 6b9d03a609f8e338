"""The worst group and the gap between the best and the worst, beside what groups that are alike would show.

Both ends of a gap are chosen by the data, so it is above 0 even where all groups are equally good. Beside it stands the
gap of groups that are drawn at random from the same samples (a permutation test; Good 2005), which clusters of samples
follow as a whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.protocols import Statistics
from harness.record import Estimate
from harness.stats.estimates import estimate
from harness.stats.grouped import GroupedStatistics
from harness.stats.resampling import BoolArray, FloatArray, IntArray
from harness.stats.slices import groups_of, slice_of, ungrouped

_LEAST = 2
_PERMUTATIONS = 300


@dataclass(frozen=True)
class OfGroup:
    """A metric on the samples of one group, as a function of resamples of all samples."""

    whole: Statistics
    member: BoolArray  # [N]

    @property
    def value(self) -> float:
        """The metric over the group."""
        return float(self.resample(np.ones((1, len(self.member)), dtype=np.int64))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each sample of the group, NaN of others."""
        return np.where(self.member, self.whole.per_sample, np.nan)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R]; NaN for a resample without a sample of the group."""
        kept = counts * self.member
        empty = ~kept.any(axis=1)
        kept[empty] = self.member
        found = np.array(self.whole.resample(kept), dtype=np.float64)
        found[empty] = np.nan
        return found


@dataclass(frozen=True)
class GapOf:
    """By how much a metric is higher in one group than in another."""

    high: OfGroup
    low: OfGroup

    @property
    def value(self) -> float:
        """The higher group minus the lower one."""
        return self.high.value - self.low.value

    @property
    def per_sample(self) -> FloatArray:
        """[N] NaN: no sample has a gap of its own."""
        return np.full(len(self.high.member), np.nan)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R]."""
        return np.asarray(self.high.resample(counts) - self.low.resample(counts))


@dataclass(frozen=True)
class GroupGap:
    """A metric in each group; the gap between the best and the worst, its interval, and that of groups that are alike.

    `alike` is the mean gap of random groups of the same sizes, `alike_high` its 95 % quantile, `p` the share of them
    with a gap as wide.
    """

    groups: dict[str, Estimate | None]
    best: str
    worst: str
    gap: Estimate | None
    alike: float
    alike_high: float
    p: float


def group_gap(
    whole: Statistics, names: Sequence[str], *, higher_is_better: bool, resamples: int = 1000, seed: int = 0
) -> GroupGap | None:
    """Compare groups `names` [N]; None for fewer than two groups of two samples in which the metric is defined."""
    metric, clusters = ungrouped(whole), groups_of(whole)
    wanted = [name for name in sorted(set(names)) if names.count(name) >= _LEAST]
    member = {name: np.array([own == name for own in names]) for name in wanted}
    values = {name: OfGroup(metric, own).value for name, own in member.items()}
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    if len(known) < 2:
        return None
    way = 1 if higher_is_better else -1
    best, worst = max(known, key=lambda name: way * known[name]), min(known, key=lambda name: way * known[name])
    high, low = (best, worst) if higher_is_better else (worst, best)
    between = GapOf(OfGroup(metric, member[high]), OfGroup(metric, member[low]))
    gap = estimate(between if clusters is None else GroupedStatistics(between, [str(c) for c in clusters]), resamples)
    drawn = _random_gaps(metric, names, list(known), clusters, seed)
    width = max(known.values()) - min(known.values())
    return GroupGap(
        groups={name: estimate(_slice(metric, member[name], clusters), resamples) for name in wanted},
        best=best,
        worst=worst,
        gap=gap,
        alike=float(np.mean(drawn)),
        alike_high=float(np.quantile(drawn, 0.95)),
        p=float((1 + (drawn >= width - 1e-12).sum()) / (1 + len(drawn))),
    )


def _slice(metric: Statistics, member: BoolArray, clusters: Sequence[Hashable] | None) -> Statistics:
    places = np.flatnonzero(member)
    cut = slice_of(metric, places)
    return cut if clusters is None else GroupedStatistics(cut, [str(clusters[place]) for place in places.tolist()])


def _random_gaps(
    metric: Statistics, names: Sequence[str], wanted: Sequence[str], clusters: Sequence[Hashable] | None, seed: int
) -> FloatArray:
    """Gaps where the groups are given to samples, or to clusters of one group each, at random."""
    own = np.array(names)
    units = np.arange(len(own)) if clusters is None else _units(clusters, own)
    first = np.unique(units, return_index=True)[1]
    generator = np.random.Generator(np.random.PCG64(seed))
    gaps = []
    for _ in range(_PERMUTATIONS):
        given = own[first][generator.permutation(len(first))][units]
        scores = [
            metric.resample((given == name).astype(np.int64)[None])[0] for name in wanted if (given == name).any()
        ]
        gaps.append(np.nanmax(scores) - np.nanmin(scores))
    return np.array(gaps)


def _units(clusters: Sequence[Hashable], own: FloatArray) -> IntArray:
    """Number the pairs of cluster and group: what is exchanged as a whole."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault((c, str(name)), len(number)) for c, name in zip(clusters, own, strict=True)])
