"""Interpolated precision on resamples of images, worked out once for all metrics that are made of it.

AP, AP50, AP75, the AP of each category and of base and novel ones are means over the same cells, each a category at an
IoU threshold; of a block of resamples each cell is computed when the first of them asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.metrics.boxes.interpolation import EXACT, CutRankings
from harness.metrics.boxes.recall_steps import Floats
from harness.stats.resampling import FloatArray, IntArray


@dataclass(frozen=True)
class Draws:
    """Resamples, given as multiplicities [R, N]."""

    counts: npt.NDArray[np.generic]
    _columns: dict[type, Floats] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.counts)

    def begin_with(self, counts: IntArray) -> bool:
        """Whether these are the first of the resamples."""
        return self.counts is counts or (
            len(self) >= len(counts) and np.array_equal(self.counts[: len(counts)], counts)
        )

    @cached_property
    def most(self) -> int:
        """How often a sample is drawn at most."""
        return int(self.counts.max(initial=0))

    def columns(self, dtype: type[np.float32 | np.float64]) -> Floats:
        """[N, R] the multiplicities, resamples beside each other."""
        if dtype not in self._columns:
            columns: Any = self.counts.T.astype(dtype, order="C")
            self._columns[dtype] = columns
        return self._columns[dtype]


@dataclass
class DrawnPrecision:
    """The precision of each category at each IoU threshold on resamples."""

    cut: CutRankings
    draws: Draws
    _found: dict[int, FloatArray] = field(default_factory=dict)
    _cells: dict[tuple[int, int], FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.draws)

    @cached_property
    def objects(self) -> FloatArray:
        """[K, R] how many objects of each category were drawn."""
        return self._sums([(ranking.object_sample, ranking.objects) for ranking in self.cut.rankings])

    def found(self, most: int) -> FloatArray:
        """[K, R] how many of these the `most` surest detections of an image find, summed over IoU thresholds."""
        if most not in self._found:
            self._found[most] = self._sums([ranking.hits(most) for ranking in self.cut.rankings])
        return self._found[most]

    def _sums(self, numbers: Sequence[tuple[IntArray, IntArray]]) -> FloatArray:
        """[K, R] sums of whole numbers over what was drawn: `numbers` are samples and numbers of each category."""
        samples, values = (np.concatenate([each[part] for each in numbers]) for part in (0, 1))
        bounds = np.cumsum([0, *(len(each[0]) for each in numbers)])
        shape = (len(numbers), self.draws.counts.shape[1])
        table = scipy.sparse.csr_array((values.astype(self._columns.dtype), samples, bounds), shape=shape)
        table.sum_duplicates()
        table.eliminate_zeros()
        return np.asarray(table @ self._columns, dtype=np.float64)

    @cached_property
    def _columns(self) -> Floats:
        """[N, R] the multiplicities, in a format in which all that is counted here is exact."""
        largest = max(max(len(r.sample), len(r.true) * int(r.objects.sum())) for r in self.cut.rankings)
        return self.draws.columns(np.float32 if largest * self.draws.most < EXACT else np.float64)

    def precision(self, category: int, thresholds: Sequence[int]) -> FloatArray:
        """[R] the mean interpolated precision of a category, summed over thresholds; 0 where it has no objects."""
        lacking = tuple(place for place in thresholds if (category, place) not in self._cells)
        if lacking:
            cells = self.cut.precision(category, lacking, self._columns, self.objects[category])
            self._cells.update({(category, place): cell for place, cell in zip(lacking, cells, strict=True)})
        sums = np.zeros(len(self.draws))
        for place in thresholds:
            sums += self._cells[category, place]
        return sums
