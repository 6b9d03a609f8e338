"""Metrics that are a share of successes among independent trials, for which Wilson's interval is right.

A percentile bootstrap gives 20 successes of 20 the interval [1, 1]; whoever makes an interval should therefore ask
`isinstance(statistics, Proportion)` and hand `successes.sum(), len(successes)` to `harness.stats.intervals.wilson`,
unless several samples share a group (such as an image): then trials are not independent and the bootstrap over
groups is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from harness.stats.resampling import FloatArray, IntArray, weighted_sums

BoolArray = npt.NDArray[np.bool_]


@runtime_checkable
class Proportion(Protocol):
    """Statistics whose value is `successes.mean()`."""

    @property
    def successes(self) -> BoolArray:
        """[T] whether each trial succeeded; T is less than N where only some samples are trials."""
        ...


@dataclass(frozen=True)
class ProportionStatistics:
    """The share of successes among those of N samples that are trials, such as the samples of one class."""

    successful: BoolArray  # [N] ignored where a sample is no trial
    trial: BoolArray  # [N] at least one

    @property
    def successes(self) -> BoolArray:
        """[T] whether each trial succeeded, in the order of the samples."""
        return np.asarray(self.successful[self.trial])

    @property
    def value(self) -> float:
        """The share of successes, 0..1."""
        return float(np.mean(self.successes))

    @property
    def per_sample(self) -> FloatArray:
        """[N] 1 or 0; NaN for a sample that is no trial."""
        return np.where(self.trial, self.successful.astype(np.float64), np.nan)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] shares; NaN for a resample without a trial."""
        hits_and_trials = np.stack([self.successful & self.trial, self.trial], axis=1).astype(np.float64)
        hits, trials = weighted_sums(counts, hits_and_trials).T
        return np.asarray(np.divide(hits, trials, out=np.full_like(hits, np.nan), where=trials > 0))


def proportion(successful: BoolArray) -> ProportionStatistics:
    """Take every sample as a trial; `successful` [N], N > 0."""
    return ProportionStatistics(successful, np.ones(len(successful), dtype=np.bool_))
