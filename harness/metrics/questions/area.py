"""The area under the ROC curve, recomputed exactly for each resample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.stats.resampling import BoolArray, FloatArray, IntArray

_CHUNK_ELEMENTS = 2_000_000


@dataclass(frozen=True)
class AreaStatistics:
    """How often a positive sample has a higher score than a negative one, ties counting half (Mann & Whitney 1947).

    `scores`, `positive` and `negative` are `[N]`; samples that are neither have no part in it.
    """

    scores: FloatArray
    positive: BoolArray
    negative: BoolArray

    @property
    def value(self) -> float:
        """The area over all samples, 0..1."""
        return float(self.resample(np.ones((1, len(self.scores)), dtype=np.int64))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the share of samples of the other kind that a sample stands on the right side of; NaN for neither."""
        own = np.full(len(self.scores), np.nan)
        high, low = self.scores[self.positive], self.scores[self.negative]
        own[self.positive] = _ranks(high, low)
        own[self.negative] = 1 - _ranks(low, high)
        return own

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] areas; NaN for a resample without one of the kinds."""
        rows = max(1, _CHUNK_ELEMENTS // max(1, counts.shape[1]))
        parts = [self._areas(counts[start : start + rows]) for start in range(0, len(counts), rows)]
        return np.concatenate(parts) if parts else np.zeros(0)

    @cached_property
    def _order(self) -> tuple[IntArray, IntArray]:
        """Samples of either kind by their score, and where each new score begins."""
        asked = np.flatnonzero(self.positive | self.negative)
        order = asked[np.argsort(self.scores[asked], kind="stable")]
        values = self.scores[order]
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        return order, starts

    def _areas(self, counts: IntArray) -> FloatArray:
        order, starts = self._order
        drawn = counts[:, order].astype(np.float64)
        high = np.add.reduceat(drawn * self.positive[order], starts, axis=1)
        low = np.add.reduceat(drawn * self.negative[order], starts, axis=1)
        below = np.cumsum(low, axis=1) - low
        wins = (high * (below + low / 2)).sum(axis=1)
        pairs = high.sum(axis=1) * low.sum(axis=1)
        return np.asarray(np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _ranks(own: FloatArray, others: FloatArray) -> FloatArray:
    """[n] the share of others that each is above, ties counting half."""
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
    return np.asarray((below + upto) / (2 * max(1, len(others))))
