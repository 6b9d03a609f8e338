"""Metrics that are a function of sums over samples: ratios of sums, and whatever counts in a confusion matrix give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.stats.resampling import FloatArray, IntArray, weighted_sums


@dataclass(frozen=True)
class SumStatistics:
    """A corpus score made of what each sample adds to K sums, such as F1 of true positives, and so recomputed exactly.

    `parts` `[N, K]` may be a scipy.sparse array, as of one column a class. `score` turns sums `[R, K]` into scores
    `[R]`, NaN where there is nothing to measure. `bounds` are the least and the most that it can be. `own` is what
    each sample scores by itself, where that is not the score of its own parts.
    """

    parts: FloatArray  # [N, K]
    score: Callable[[FloatArray], FloatArray]
    bounds: tuple[float, float] | None = (0.0, 1.0)
    own: FloatArray | None = None  # [N]

    @property
    def value(self) -> float:
        """The score over all samples."""
        return float(self.score(np.asarray(self.parts.sum(axis=0), dtype=np.float64)[None])[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each sample alone."""
        return self.score(np.asarray(self.parts)) if self.own is None else self.own

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] scores."""
        return self.score(weighted_sums(counts, self.parts))


def ratio_of_sums(sums: FloatArray) -> FloatArray:
    """[R, 2] -> [R] the first over the second; NaN where the second is 0."""
    above, below = sums.T
    return np.asarray(np.divide(above, below, out=np.full(len(sums), np.nan), where=below > 0))
