"""Intervals and paired differences.

Wilson's interval for proportions (Wilson 1927); the percentile bootstrap over samples (Efron 1979) for corpus
metrics, recomputed in each resample from per-sample statistics, with one set of resamples for all metrics of
the same samples, so that differences between models are paired.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Resampled(Protocol):
    """What the bootstrap needs of a metric: see `harness.metrics.resampling.Statistics`."""

    @property
    def value(self) -> float: ...

    @property
    def per_sample(self) -> FloatArray: ...

    def resample(self, counts: IntArray) -> FloatArray: ...


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion, within 0..1."""
    z = _normal_quantile(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def bootstrap_interval(
    statistics: Resampled, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a corpus metric."""
    values = statistics.resample(draw_multiplicities(len(statistics.per_sample), resamples, seed))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def draw_multiplicities(n: int, resamples: int, seed: int) -> IntArray:
    """[R, N] how often each of n samples is drawn in each resample; every row sums to n."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.stack([np.bincount(generator.integers(0, n, n), minlength=n) for _ in range(resamples)])


def _normal_quantile(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


class PairedDifference(NamedTuple):
    """a - b on the same samples."""

    difference: float
    low: float
    high: float
    p: float
    smallest_detectable_change: float


def paired_difference(
    a: Resampled, b: Resampled, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> PairedDifference:
    """Paired bootstrap of the difference of a corpus metric between two models on the same samples."""
    counts = draw_multiplicities(len(a.per_sample), resamples, seed)
    differences = a.resample(counts) - b.resample(counts)
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    p = min(1.0, 2 * (min(below, above) + 1) / (resamples + 1))
    error = float(differences.std(ddof=1))
    detectable = (_normal_quantile(0.5 + confidence / 2) + _normal_quantile(0.8)) * error
    return PairedDifference(a.value - b.value, float(low), float(high), p, detectable)
