"""What each sample contributes to a corpus metric: numbers whose mean is the metric, so that tests of means apply.

The contribution of sample i is value + (n - 1)(value - value without i), the jackknife's pseudo-value (Quenouille
1956; Tukey 1958), moved so that the mean over samples is the metric itself. For a mean they are the per-sample scores;
for AP, mIoU and their like the standard error that they give is the jackknife's, which `tests/benchmarks/
bench_intervals.py --only errors` compares with the true one. Adding a second copy of a sample instead claims a quarter
too little where classes have few samples. They are small and need neither data nor predictions, so leaderboards and
baselines keep them.
"""

from __future__ import annotations

import numpy as np

from harness.protocols import Statistics
from harness.stats.resampling import FloatArray, MeanStatistics, counted, without_each


def contributions(statistics: Statistics) -> FloatArray:
    """[N] contributions in the metric's unit; their mean is `statistics.value`.

    Where the metric is undefined without a sample, that sample is counted twice instead: n + 1 times what this adds.
    If that is undefined too, it contributes the value itself.
    """
    if isinstance(statistics, MeanStatistics):
        return statistics.per_sample
    n, value = len(statistics.per_sample), statistics.value
    influence = (n - 1) * (value - without_each(statistics, np.arange(n), n))
    lost = np.flatnonzero(np.isnan(influence))
    if len(lost):
        influence[lost] = (n + 1) * (counted(statistics, lost, 2, n) - value)
    influence = np.where(np.isnan(influence), 0.0, influence)
    return np.asarray(value + influence - influence.mean())
