"""Between which ends a metric lies where some samples have no answer: all of them wrong, or all of them right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from harness.protocols import Statistics
from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import Proportion
from harness.stats.resampling import MeanStatistics

Ends = tuple[float, float]
_TRIALS = 16
_NEAR = 1e-9


def unanswered_bounds(
    answered: Mapping[str, Statistics | None], failed: int, ends: Callable[[str], Ends | None]
) -> dict[str, Ends | None]:
    """Give the least and the most that each metric can be when `failed` more samples count; None where nobody knows.

    Known are shares of samples, and means of what samples score, between the `ends` of a metric. All else (a corpus
    score, a mean over classes, an area under a curve) may move in ways that these samples do not tell. Metrics of
    slices and of single classes are left out.
    """
    whole = {name: one for name, one in answered.items() if one is not None and "[" not in name and ":" not in name}
    return {name: _bounds(one, failed, ends(name)) for name, one in whole.items()}


def _bounds(statistics: Statistics, failed: int, ends: Ends | None) -> Ends | None:
    inner = statistics.statistics if isinstance(statistics, GroupedStatistics) else statistics
    count = len(inner.per_sample)
    if isinstance(inner, Proportion):
        ends = (0.0, 1.0) if len(inner.successes) == count else None  # else some samples are no trials
    elif isinstance(inner, MeanStatistics):
        ends = inner.bounds or ends
    elif not _is_mean(inner):
        ends = None
    if ends is None:
        return None
    least, most = ((inner.value * count + end * failed) / (count + failed) for end in ends)
    return least, most


def _is_mean(statistics: Statistics) -> bool:
    """Tell by resamples whether a metric is the mean over samples; where all score alike nothing tells, so no."""
    scores = np.asarray(statistics.per_sample, dtype=np.float64)
    if not np.isfinite(scores).all() or np.ptp(scores) == 0:
        return False
    counts = np.random.default_rng(0).multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=_TRIALS)
    return bool(np.allclose(statistics.resample(counts), counts @ scores / len(scores), rtol=0, atol=_NEAR))
