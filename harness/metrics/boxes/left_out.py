"""Precision and objects of each category without one sample at a time, as a jackknife asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.metrics.boxes.interpolation import EXACT, CutRankings
from harness.metrics.boxes.without_one import precision_without
from harness.stats.resampling import FloatArray, IntArray


@dataclass
class LeftOut:
    """The precision of each category at each IoU threshold without each of some samples, all others counted once."""

    cut: CutRankings
    samples: IntArray  # [G]
    _cells: dict[tuple[int, int], FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def objects(self) -> FloatArray:
        """[K, G] how many objects of each category there are."""
        return self._sums([(ranking.object_sample, ranking.objects) for ranking in self.cut.rankings])

    def found(self, most: int) -> FloatArray:
        """[K, G] how many of these the `most` surest detections of an image find, summed over IoU thresholds."""
        return self._sums([ranking.hits(most) for ranking in self.cut.rankings])

    def precision(self, category: int, thresholds: Sequence[int]) -> FloatArray:
        """[G] the mean interpolated precision of a category, summed over thresholds; 0 where it has no objects."""
        lacking = tuple(place for place in thresholds if (category, place) not in self._cells)
        if lacking:
            cells = self._without(category, lacking)
            self._cells.update({(category, place): cell for place, cell in zip(lacking, cells, strict=True)})
        sums = np.zeros(len(self))
        for place in thresholds:
            sums += self._cells[category, place]
        return sums

    def _without(self, category: int, thresholds: tuple[int, ...]) -> FloatArray:
        """[T, G] the mean interpolated precision of a category at each threshold."""
        ranking, cells = self.cut.rankings[category], np.zeros((len(thresholds), len(self)))
        holds = np.isin(self.samples, ranking.object_sample)
        cells[:, ~holds] = precision_without(ranking, thresholds, self.samples[~holds])
        places = np.flatnonzero(holds)
        end = int(max(ranking.sample.max(initial=0), self.samples.max(initial=0))) + 1
        counts = np.ones((end, len(places)), np.float32 if len(ranking.sample) < EXACT else np.float64)
        counts[self.samples[places], np.arange(len(places))] = 0
        cells[:, places] = self.cut.precision(category, thresholds, counts, self.objects[category, places])
        return cells

    def _sums(self, numbers: Sequence[tuple[IntArray, IntArray]]) -> FloatArray:
        """[K, G] sums over what is left: `numbers` are samples and numbers of each category."""
        end = int(max(self.samples.max(initial=0), *(part.max(initial=0) for part, _ in numbers))) + 1
        own = [np.bincount(part, weights=values, minlength=end) for part, values in numbers]
        return np.stack([each.sum() - each[self.samples] for each in own])
