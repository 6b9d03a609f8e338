"""What each sample contributes to a corpus metric: numbers whose mean is the metric, so that tests of means apply.

The contribution of sample i is value + (n + 1)(value with i counted twice - value), the empirical influence function by
addition (Davison & Hinkley 1997, Bootstrap Methods, section 2.7), moved so that the mean over samples is the metric
itself. For a mean they are the per-sample scores; for AP, mIoU and their like the standard error that they give is that
of the linear part of the metric. Addition rather than deletion, since without its only sample a class has no score.
They are small and need neither data nor predictions, so leaderboards and baselines keep them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.metrics.resampling import FloatArray, IntArray, MeanStatistics, Statistics

_ROWS = 256  # resamples at once


def contributions(statistics: Statistics) -> FloatArray:
    """[N] contributions in the metric's unit; their mean is `statistics.value`.

    A sample whose second count leaves the metric undefined contributes the value itself.
    """
    if isinstance(statistics, MeanStatistics):
        return statistics.per_sample
    found = np.concatenate([statistics.resample(counts) for counts in _one_twice(len(statistics.per_sample))])
    influence = np.where(np.isnan(found), 0.0, (found - statistics.value) * (len(found) + 1))
    return np.asarray(statistics.value + influence - influence.mean())


def _one_twice(n: int) -> Iterator[IntArray]:
    """Yield blocks [r, n] of multiplicities in which one sample counts twice and all others once."""
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        counts = np.ones((stop - start, n), dtype=np.int64)
        counts[np.arange(stop - start), np.arange(start, stop)] = 2
        yield counts
