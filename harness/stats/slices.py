"""Statistics taken apart: a metric on some of the samples, the metric itself, and which samples share an image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.protocols import Statistics
from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import ProportionStatistics
from harness.stats.resampling import BoolArray, FloatArray, IntArray, MeanStatistics, informs

_BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class SliceStatistics:
    """A metric on n of the samples: the others are drawn not at all, so whatever is shared stays, such as an IDF."""

    whole: Statistics
    places: IntArray  # [n]

    @property
    def value(self) -> float:
        """The metric over the slice."""
        return float(self.resample(np.ones((1, len(self.places)), dtype=np.int64))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[n] the score of each sample alone."""
        return np.asarray(self.whole.per_sample[self.places])

    @property
    def informs(self) -> BoolArray:
        """[n] which samples have a score of their own."""
        return np.asarray(informs(self.whole)[self.places])

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, n] multiplicities -> [R] scores."""
        total = len(informs(self.whole))
        rows = max(1, _BLOCK_ELEMENTS // total)
        scores = []
        for start in range(0, len(counts), rows):
            part = counts[start : start + rows]
            spread = np.zeros((len(part), total), dtype=np.int64)
            spread[:, self.places] = part
            scores.append(self.whole.resample(spread))
        return np.concatenate(scores)


def slice_of(whole: Statistics, places: IntArray) -> Statistics:
    """Restrict a metric to some samples; means and proportions stay what they are."""
    if isinstance(whole, MeanStatistics):
        return MeanStatistics(whole.per_sample[places], whole.bounds)
    if isinstance(whole, ProportionStatistics) and whole.trial[places].any():
        return ProportionStatistics(whole.successful[places], whole.trial[places])
    return SliceStatistics(whole, places)


def slice_part(statistics: Statistics, places: IntArray) -> Statistics:
    """A metric on some samples, which keep their groups."""
    groups = groups_of(statistics)
    cut = slice_of(ungrouped(statistics), places)
    return cut if groups is None else GroupedStatistics(cut, [str(groups[place]) for place in places])


def ungrouped(statistics: Statistics) -> Statistics:
    """The metric itself, where its samples come in groups."""
    return statistics.statistics if isinstance(statistics, GroupedStatistics) else statistics


def groups_of(statistics: Statistics) -> Sequence[Hashable] | None:
    """Which samples share an image, None where each has its own."""
    found: Sequence[Hashable] | None = getattr(statistics, "groups", None)
    return found
