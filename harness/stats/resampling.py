"""What a metric must leave behind so that its corpus score can be recomputed in a bootstrap resample.

A resample of N samples is a row of N multiplicities: how often each sample was drawn. A corpus metric is
never the mean of something unless it says so, so each metric brings its own `resample`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from harness.protocols import Statistics

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK_ELEMENTS = 4_000_000
"""Multiplicities that are drawn at once: 32 MB, up to which glibc uses memory again; metrics keep what is theirs of so
many."""
_ROWS = 256  # resamples at once
_CHUNK_ELEMENTS = 4_000_000  # float copies of the multiplicities stay below 32 MB


@dataclass(frozen=True)
class MeanStatistics:
    """A corpus score that is the mean of per-sample scores (ROUGE-L; CIDEr-D with a fixed IDF).

    `bounds` are the least and most that a sample can score, where that is known.
    """

    per_sample: FloatArray
    bounds: tuple[float, float] | None = None

    @property
    def value(self) -> float:
        """The mean."""
        return float(np.mean(self.per_sample))

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] weighted means."""
        drawn = counts.sum(axis=1, dtype=np.int64).astype(np.float64)
        return np.asarray(weighted_sums(counts, self.per_sample[:, None])[:, 0] / drawn)


def informs(statistics: Statistics) -> BoolArray:
    """[N] which samples have a score of their own.

    What each of them scores may take long where the metric is no mean; so statistics may say so in `informs`.
    """
    own: BoolArray | None = getattr(statistics, "informs", None)
    return ~np.isnan(statistics.per_sample) if own is None else own


def without_each(statistics: Statistics, samples: IntArray, size: int) -> FloatArray:
    """[G] the metric of `size` samples without each of these in turn, all others counted once; NaN where undefined.

    Statistics that need not weigh all samples anew for that say so in `without_each`.
    """
    own: Callable[[IntArray], FloatArray] | None = getattr(statistics, "without_each", None)
    return counted(statistics, samples, 0, size) if own is None else own(samples)


def counted(statistics: Statistics, samples: IntArray, times: int, size: int) -> FloatArray:
    """[G] the metric of `size` samples with each of these in turn counted so many times, and all others once."""
    found = []
    for start in range(0, len(samples), _ROWS):
        chosen = samples[start : start + _ROWS]
        counts = np.ones((len(chosen), size), dtype=np.int64)
        counts[np.arange(len(chosen)), chosen] = times
        found.append(statistics.resample(counts))
    return np.concatenate([np.empty(0), *found])


def weighted_sums(counts: IntArray, components: FloatArray) -> FloatArray:
    """[R, N] multiplicities and [N, K] per-sample components -> [R, K] sums over the drawn samples.

    Sums of integers stay exact: they are far below 2**53.
    """
    rows = max(1, _CHUNK_ELEMENTS // max(1, counts.shape[1]))
    sums = np.empty((counts.shape[0], components.shape[1]), dtype=np.float64)
    for start in range(0, counts.shape[0], rows):
        sums[start : start + rows] = counts[start : start + rows].astype(np.float64) @ components
    return sums
