"""The bootstrap interval and the jackknife error of one metric by itself, as tests and benchmarks want them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from harness.protocols import Statistics
from harness.stats.intervals import Bootstrapped, jackknife_together, percentile_interval, scored_blocks


def bootstrap(
    statistics: Statistics,
    resamples: int = 1000,
    seed: int = 0,
    *,
    groups: Sequence[Hashable] | None = None,
    error: float = 0.0,
) -> Bootstrapped:
    """Percentile interval of a corpus metric; samples of one group (such as an image) are drawn together."""
    drawn = np.concatenate([score()[0] for score in scored_blocks([statistics], [resamples], seed, groups)])
    return percentile_interval(statistics, drawn, groups=groups, error=error)


def jackknife_error(statistics: Statistics, groups: Sequence[Hashable] | None = None, most: int = 1000) -> float:
    """Standard error of a metric from what it is without each group in turn."""
    return jackknife_together([statistics], groups, most)[0]
