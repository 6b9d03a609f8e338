"""What each sample contributes to a corpus metric: numbers whose mean is the metric, so that tests of means apply.

The contribution of sample i is value + (n - 1)(value - value without i), the jackknife's pseudo-value (Quenouille
1956; Tukey 1958), moved so that the mean over samples is the metric itself. For a mean they are the per-sample scores;
for AP, mIoU and their like the standard error that they give is the jackknife's, which `tests/benchmarks/
bench_intervals.py --only errors` compares with the true one. Adding a second copy of a sample instead claims a quarter
too little where classes have few samples. They are small and need neither data nor predictions, so leaderboards and
baselines keep them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.protocols import Statistics
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics

_ROWS = 256  # resamples at once


def contributions(statistics: Statistics) -> FloatArray:
    """[N] contributions in the metric's unit; their mean is `statistics.value`.

    Where the metric is undefined without a sample, that sample is counted twice instead: n + 1 times what this adds.
    If that is undefined too, it contributes the value itself.
    """
    if isinstance(statistics, MeanStatistics):
        return statistics.per_sample
    n, value = len(statistics.per_sample), statistics.value
    influence = (n - 1) * (value - _counted(statistics, np.arange(n), 0))
    lost = np.flatnonzero(np.isnan(influence))
    if len(lost):
        influence[lost] = (n + 1) * (_counted(statistics, lost, 2) - value)
    influence = np.where(np.isnan(influence), 0.0, influence)
    return np.asarray(value + influence - influence.mean())


def _counted(statistics: Statistics, samples: IntArray, times: int) -> FloatArray:
    """[S] the metric with each of these samples in turn counted so many times, and all others once."""
    rows = (statistics.resample(counts) for counts in _multiplicities(len(statistics.per_sample), samples, times))
    return np.concatenate([*rows])


def _multiplicities(n: int, samples: IntArray, times: int) -> Iterator[IntArray]:
    """Yield blocks [r, n] of multiplicities in which one of the samples counts so many times and all others once."""
    for start in range(0, len(samples), _ROWS):
        chosen = samples[start : start + _ROWS]
        counts = np.ones((len(chosen), n), dtype=np.int64)
        counts[np.arange(len(chosen)), chosen] = times
        yield counts
