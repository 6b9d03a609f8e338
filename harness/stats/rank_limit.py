"""The one alpha at which all pairs of a table are told apart: one table makes one error in twenty.

It is found from draws without any difference: clusters of samples with random signs (a multiplier bootstrap, which
keeps how pairs depend), seeds normal and independent between models, and the variances of both estimated anew in each
draw, since of five seeds a variance is known badly (Westfall & Young 1993, Resampling-Based Multiple Testing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.stats.difference import ALPHA
from harness.stats.pairwise import BoolArray, PairRow, SampledModels, quantiles
from harness.stats.resampling import FloatArray, IntArray
from harness.stats.significance import cluster_sums

_DRAWS = 2000
_NEAR = 1.02  # so near is the alpha of all pairs found
_ROUNDING = 1e-9  # models whose difference varies less over samples, of what they vary, differ alike on all of them
_PAIRS_AT_ONCE = 64  # their draws fit into the cache of a core
_FEW = 0.05  # entries that are picked one by one
_SLACK = 1e-9  # of what is computed in another order


def alpha_of_all_pairs(models: SampledModels, rows: Sequence[PairRow], seed: int) -> float:
    """The largest alpha at which in 95 % of draws without any difference no pair's interval leaves out 0.

    Never below Bonferroni's, which holds however pairs depend. Where so few clusters could not show any pair's
    difference by their signs alone, nothing is told apart: 0. `rows` are the differences of all pairs.
    """
    pairs = sum(len(row.value) for row in rows)
    if pairs * 2.0 ** (1 - len(set(models.clusters))) > ALPHA:
        return 0.0
    search = _Search(ALPHA / pairs, ALPHA)
    draws = _Draws(models, seed)
    for first, row in enumerate(rows):
        for start in range(0, len(row.value), _PAIRS_AT_ONCE):
            search.add(draws.extreme(first, row, slice(start, start + _PAIRS_AT_ONCE), search.high))
    return search.found()


class _Search:
    """Bisects for an alpha between two while pairs are still being added, each of which is looked at once.

    As soon as too many draws have a pair beyond at the middle, no pair that comes later can change that, and of those
    that came only what is beyond there is kept.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self._kept: list[_Extreme] = []
        self._draws = np.zeros(_DRAWS, dtype=bool)  # that have a pair beyond at the middle

    def add(self, extreme: _Extreme) -> None:
        """Take in some pairs, all of theirs that are beyond at `high`."""
        self._kept.append(extreme)
        self._draws[extreme.draw[extreme.beyond(self._middle)]] = True
        while self._is_open and self._draws.mean() > ALPHA:
            self._lower(self._middle)

    def found(self) -> float:
        """The alpha, once all pairs are there."""
        self._kept = [_joined(self._kept)]
        while self._is_open:
            if self._draws.mean() > ALPHA:
                self._lower(self._middle)
            else:
                self.low = self._middle
                self._count()
        return self.low

    @property
    def _middle(self) -> float:
        return math.sqrt(self.low * self.high)

    @property
    def _is_open(self) -> bool:
        return self.high / self.low > _NEAR

    def _lower(self, high: float) -> None:
        kept = _joined(self._kept)
        self._kept = [kept.those(kept.beyond(high))]
        self.high = high
        self._count()

    def _count(self) -> None:
        self._draws[:] = False
        for each in self._kept:
            self._draws[each.draw[each.beyond(self._middle)]] = True


@dataclass(frozen=True)
class _Extreme:
    """Pairs in draws that are far apart: squared distances [K], which draws, and the variances that are estimated.

    The variances are of samples and of seeds, [K] each, with their degrees of freedom.
    """

    draw: IntArray
    apart: FloatArray
    parts: tuple[tuple[FloatArray, FloatArray], ...]

    def beyond(self, alpha: float) -> BoolArray:
        """Whose interval at 1 - alpha leaves out 0."""
        limits = [np.square(quantiles(freedom, alpha)) * variance for variance, freedom in self.parts]
        return np.asarray(self.apart > np.sum(limits, axis=0))

    def those(self, chosen: BoolArray) -> _Extreme:
        """Some of them."""
        return _Extreme(self.draw[chosen], self.apart[chosen], tuple((v[chosen], f[chosen]) for v, f in self.parts))


def _joined(some: Sequence[_Extreme]) -> _Extreme:
    parts = tuple(
        (np.concatenate([variance for variance, _ in part]), np.concatenate([freedom for _, freedom in part]))
        for part in zip(*(each.parts for each in some), strict=True)
    )
    return _Extreme(np.concatenate([each.draw for each in some]), np.concatenate([each.apart for each in some]), parts)


class _Draws:
    """Draws in which no model is better: what samples and seeds add to the mean of each of M models in each."""

    def __init__(self, models: SampledModels, seed: int) -> None:
        generator = np.random.Generator(np.random.PCG64(seed))
        means = np.stack([own.mean(axis=0) for own in models.values], axis=1)
        sums = cluster_sums(means - means.mean(axis=0), models.clusters)
        signs = 2.0 * generator.integers(0, 2, size=(_DRAWS, len(sums)), dtype=np.int8) - 1.0
        seeds = [generator.standard_normal((_DRAWS, len(own))) for own in models.values]
        self.numbers = models.numbers
        self.spread = _spread(sums)
        self.of_clusters = np.ascontiguousarray((signs @ sums).T)  # [M, D]
        self.of_seeds = np.stack([own.mean(axis=1) for own in seeds])  # [M, D], of seeds of variance 1
        residuals = np.concatenate([own - own.mean(axis=1, keepdims=True) for own in seeds], axis=1)
        self.residuals = np.ascontiguousarray(residuals.T)  # [seeds of all models, D]
        self.counts = np.array([len(own) for own in models.values])
        self.starts = np.cumsum(self.counts) - self.counts  # of each model's seeds in `residuals`
        self.seed_sd = np.array([_deviation(own.mean(axis=1)) for own in models.values])
        self.sample_variance = generator.chisquare(len(sums) - 1, _DRAWS) / (len(sums) - 1)  # [D], of a variance of 1

    def extreme(self, a: int, row: PairRow, part: slice, alpha: float) -> _Extreme:
        """Some of a model's pairs in draws, all that an interval at 1 - alpha leaves 0 out of among them."""
        error, freedom = row.sample_error[part], row.sample_freedom[part]
        later = slice(a + 1 + part.start, a + 1 + part.start + len(error))
        same = np.array([self.numbers[a] == numbers for numbers in self.numbers[later]])
        spread, seed_error = self.spread[a, later], row.seed_error[part]
        apart = self.of_clusters[a] - self.of_clusters[later]
        apart *= np.divide(error, spread, out=np.zeros(len(error)), where=spread > 0)[:, None]
        ours = np.where(same, seed_error * math.sqrt(self.counts[a] / 2), self.seed_sd[a])
        apart += ours[:, None] * self.of_seeds[a]
        apart += np.where(same, -ours, self.seed_sd[later])[:, None] * self.of_seeds[later]
        np.square(apart, out=apart)
        least = np.square(quantiles(freedom, alpha) * error)[:, None] * self.sample_variance  # of samples alone
        near = apart > least
        scale = np.where(same, np.square(seed_error), np.nan)
        if np.count_nonzero(near) > _FEW * near.size:
            least += self._seed_limit(a, later, scale, alpha)
            near &= apart > least
        pairs, draw = np.divmod(np.flatnonzero(near), near.shape[1])
        of_samples = np.square(error[pairs]) * self.sample_variance[draw], freedom[pairs]
        of_seeds = self._seed_parts(a, later.start + pairs, scale[pairs], draw)
        return _Extreme(draw, apart[pairs, draw], (of_samples, *of_seeds))

    def _seed_limit(self, a: int, later: slice, scale: FloatArray, alpha: float) -> FloatArray:
        """A little less than what seeds add to the squared limits [B, D] of a model's pairs with B later ones."""
        same = ~np.isnan(scale)
        reach = np.square(quantiles(self.counts - 1.0, alpha)) * (1 - _SLACK) / np.maximum(1, self.counts - 1)
        own = reach * np.square(self.seed_sd) / self.counts
        limit = np.where(same, scale / 2 * reach[a], own[later])[:, None] * self._squares[later]
        limit += np.where(same, scale / 2 * reach[a], own[a])[:, None] * self._squares[a]
        if self.counts[a] > 1 and same.any():
            alike = np.flatnonzero(same)
            products = self._products(a, later.start + alike)
            products *= (scale[alike] * reach[a])[:, None]
            if len(alike) == len(same):
                limit -= products
            else:
                limit[alike] -= products
        return np.asarray(limit)

    def _products(self, a: int, later: IntArray) -> FloatArray:
        """Sums over seeds [B, D] of a model's residuals times those of B later ones with the same seeds."""
        count, starts = self.counts[a], self.starts[later]
        own = self.residuals[self.starts[a] : self.starts[a] + count]
        if starts[-1] - starts[0] == count * (len(starts) - 1):  # one after the other: nothing is copied
            others = self.residuals[starts[0] : starts[-1] + count].reshape(len(starts), count, -1)
        else:
            others = self.residuals[starts[:, None] + np.arange(count)]
        return np.asarray(np.einsum("bsd,sd->bd", others, own))

    def _seed_parts(
        self, a: int, b: IntArray, scale: FloatArray, draw: IntArray
    ) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Variances [K] of a model's seeds and of others', estimated in the draws; `scale` is that of same seeds.

        Those of same seeds are of their differences and the second is 0; `scale` is nan where seeds are not the same.
        """
        count, same = self.counts[a], ~np.isnan(scale)
        shares = np.square(self.seed_sd) / self.counts / np.maximum(1, self.counts - 1)
        first, second = shares[a] * self._squares[a, draw], shares[b] * self._squares[b, draw]
        own = self.starts[a] + np.arange(count)
        differ = (
            self.residuals[own[:, None], draw[same]]
            - self.residuals[self.starts[b[same]] + np.arange(count)[:, None], draw[same]]
        )
        first[same] = scale[same] * np.square(differ).sum(axis=0) / 2 / max(1, count - 1)
        second[same] = 0.0
        return (first, np.full(len(b), count - 1.0)), (second, self.counts[b] - 1.0)

    @cached_property
    def _squares(self) -> FloatArray:
        """Sums of the squared residuals of each model's seeds in each draw: [M, D]."""
        return np.asarray(np.add.reduceat(np.square(self.residuals), self.starts, axis=0))


def _spread(sums: FloatArray) -> FloatArray:
    """Sums [C, M] of clusters -> the standard deviation of what samples add to a difference in draws, [M, M]."""
    products = sums.T @ sums
    own = np.diag(products)
    spread: FloatArray = np.sqrt(np.maximum(0.0, own[:, None] + own - 2 * products))
    spread[spread <= _ROUNDING * np.sqrt(own.max())] = 0.0
    return spread


def _deviation(values: FloatArray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
