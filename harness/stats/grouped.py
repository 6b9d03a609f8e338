"""Statistics of samples that share an image: intervals must draw them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.protocols import Statistics
from harness.stats.resampling import BoolArray, FloatArray, IntArray, informs


@dataclass(frozen=True)
class GroupedStatistics:
    """Statistics whose samples come in groups `[N]`, such as several questions about one image.

    Even where the metric is a proportion its trials are not independent, so it offers no `successes`.
    """

    statistics: Statistics
    groups: Sequence[str]

    @property
    def value(self) -> float:
        """The metric over all samples."""
        return self.statistics.value

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each sample alone."""
        return self.statistics.per_sample

    @property
    def informs(self) -> BoolArray:
        """[N] which samples have a score of their own."""
        return informs(self.statistics)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] scores."""
        return self.statistics.resample(counts)
