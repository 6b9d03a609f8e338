"""Interpolated precision on resamples of images, worked out once for all metrics that are made of it.

AP, AP50, AP75, the AP of each category and of base and novel ones are means over the same cells, each a category at an
IoU threshold; of a block of resamples each cell is computed when the first of them asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.metrics.boxes.matching import Ranking
from harness.metrics.boxes.without_one import precision_without
from harness.stats.resampling import FloatArray, IntArray

_EXACT = 2**24  # whole numbers up to here are exact in float32, which takes half the memory and time
_BLOCK_ELEMENTS, _MOST_COLUMNS = 2_000_000, 1024  # resamples are columns: 16 MB of them at once
_NARROW = 160  # columns below which numpy's accumulate is faster than a call for each row

Floats: TypeAlias = npt.NDArray[np.float32] | FloatArray
"""Whole numbers, as floating-point ones that hold them exactly."""


@dataclass
class LatestDraws:
    """The cells of the resamples that were asked for last, of each range of area.

    Metrics are scored on one block of resamples after another (`harness.stats.intervals.resampled_together`), some on
    its beginning only; such a beginning is served from the whole block.
    """

    _draws: Draws | None = None
    _latest: dict[str, DrawnPrecision] = field(default_factory=dict)
    _cuts: dict[str, dict[tuple[int, tuple[int, ...]], _Cuts | None]] = field(default_factory=dict)

    def of(self, rankings: Sequence[Ranking], area: str, counts: IntArray) -> DrawnPrecision:
        """The cells of these multiplicities [R, N], or of a block that begins with them."""
        if self._draws is None or not self._draws.begin_with(counts):
            self._draws, self._latest = Draws(counts), {}
        if area not in self._latest:
            self._latest[area] = DrawnPrecision(rankings, self._draws, self._cuts.setdefault(area, {}))
        return self._latest[area]


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

    @cached_property
    def left_out(self) -> IntArray | None:
        """[R] the one sample that each resample leaves out, drawing all others once; None where others are drawn."""
        counts = self.counts
        if counts.max(initial=0) > 1 or (counts.sum(axis=1) != counts.shape[1] - 1).any():
            return None
        return np.asarray(counts.argmin(axis=1), np.int64)


@dataclass
class DrawnPrecision:
    """The precision of each category at each IoU threshold on resamples."""

    rankings: Sequence[Ranking]  # [K]
    draws: Draws
    _cuts: dict[tuple[int, tuple[int, ...]], _Cuts | None] = field(default_factory=dict)
    """Of each category at some thresholds, whatever the resamples."""
    _found: dict[int, FloatArray] = field(default_factory=dict)
    _cells: dict[tuple[int, int], FloatArray] = field(default_factory=dict)
    _arrays: _Arrays = field(default_factory=lambda: _Arrays())

    def has_objects(self, category: int) -> bool:
        """Whether a category has any object at all."""
        return len(self.rankings[category].objects) > 0

    @cached_property
    def objects(self) -> FloatArray:
        """[K, R] how many objects of each category were drawn."""
        return self._sums([(ranking.object_sample, ranking.objects) for ranking in self.rankings])

    def found(self, most: int) -> FloatArray:
        """[K, R] how many of these the `most` surest detections of an image find, summed over IoU thresholds."""
        if most not in self._found:
            hits = [(r.sample, (r.true & (r.rank < most)).sum(axis=0)) for r in self.rankings]
            self._found[most] = self._sums(hits)
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
        largest = max(max(len(r.sample), len(r.true) * int(r.objects.sum())) for r in self.rankings)
        return self.draws.columns(np.float32 if largest * self.draws.most < _EXACT else np.float64)

    def precision(self, category: int, thresholds: Sequence[int]) -> FloatArray:
        """[R] the mean interpolated precision of a category, summed over thresholds; 0 where it has no objects."""
        lacking = tuple(place for place in thresholds if (category, place) not in self._cells)
        if lacking:
            self._fill(category, lacking)
        sums = np.zeros(len(self.draws))
        for place in thresholds:
            sums += self._cells[category, place]
        return sums

    def _fill(self, category: int, thresholds: tuple[int, ...]) -> None:
        cells = np.zeros((len(thresholds), len(self.draws)))
        ranking = self.rankings[category]
        if (category, thresholds) not in self._cuts:
            self._cuts[category, thresholds] = _cut(ranking, thresholds)
        cuts = self._cuts[category, thresholds]
        if cuts is not None:
            objects = self.objects[category]
            rows, samples = cuts.passed.shape
            weighed = np.ones(len(self.draws), dtype=bool)
            if (left_out := self.draws.left_out) is not None:
                weighed = np.isin(left_out, ranking.object_sample)
                cells[:, ~weighed] = precision_without(ranking, thresholds, left_out[~weighed])
            for start, end in blocks(len(self.draws), _columns(rows)):
                chosen = start + np.flatnonzero(weighed[start:end])
                whole = len(chosen) == end - start
                part = self._columns[:samples, start:end] if whole else self._columns[:samples, chosen]
                cells[:, chosen] = _mean_precision(part, objects[chosen], cuts, self._arrays)
        self._cells.update({(category, place): cell for place, cell in zip(thresholds, cells, strict=True)})


@dataclass(frozen=True)
class _Cuts:
    """Where precision is looked at: at each of the H detections that are true at any of the T thresholds."""

    passed: scipy.sparse.csr_array  # [H, N] how many detections of a sample lie between one of these and the next
    true: tuple[IntArray, ...]  # T times, which of the H are true
    true_sample: tuple[IntArray, ...]  # T times, the samples of these
    ignored_sample: tuple[IntArray, ...]  # T times, of the detections within `passed` that do not count there
    ignored_before: tuple[IntArray, ...]  # T times, how many of these come before each true one


def _cut(ranking: Ranking, thresholds: Sequence[int]) -> _Cuts | None:
    """Cut a ranking at its true detections; None where there are none."""
    counting = np.any(ranking.counted, axis=0)
    true, counted = (table[list(thresholds)][:, counting] for table in (ranking.true, ranking.counted))
    sample = ranking.sample[counting]
    ends = np.flatnonzero(true.any(axis=0))
    if not len(ends):
        return None
    looked_at = sample[: ends[-1] + 1]
    begins = np.concatenate([[0], ends + 1])
    shape = (len(ends), int(sample.max()) + 1)
    hits = [np.flatnonzero(row) for row in true]
    ignored = [np.flatnonzero(~row[: len(looked_at)]) for row in counted]
    return _Cuts(
        passed=scipy.sparse.csr_array((np.ones(len(looked_at), np.float32), looked_at, begins), shape=shape),
        true=tuple(np.searchsorted(ends, found) for found in hits),
        true_sample=tuple(sample[found] for found in hits),
        ignored_sample=tuple(sample[left_out] for left_out in ignored),
        ignored_before=tuple(np.searchsorted(o, h) for o, h in zip(ignored, hits, strict=True)),
    )


def _mean_precision(block: Floats, objects: FloatArray, cuts: _Cuts, arrays: _Arrays) -> FloatArray:
    """[T, r] the mean interpolated precision of one category at each threshold; 0 where it has no objects.

    `block` [N, r] are how often each sample was drawn, `objects` [r] how many objects were.
    """
    means = np.zeros((len(cuts.true), len(objects)))
    if not len(objects):
        return means
    passed = _running(np.add, cuts.passed @ block)
    recall = _recall_steps(objects)
    for place, true in enumerate(cuts.true):
        if not len(true):
            continue
        found = _running(np.add, arrays.taken("found", block, cuts.true_sample[place]))
        seen = arrays.taken("seen", passed, true)
        ignored = cuts.ignored_sample[place]
        if len(ignored):
            without = _running(np.add, arrays.taken("ignored", block, ignored))
            ends = np.searchsorted(cuts.ignored_before[place], np.arange(1, len(ignored) + 2))
            for row, (start, end) in enumerate(pairwise(ends.tolist())):
                seen[start:end] -= without[row]
        means[place] = _interpolated(found, seen, recall, arrays)
    return means


class _Arrays:
    """Arrays that are used again: fresh memory takes several times as long as what is computed in it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], npt.NDArray[Any]] = {}

    def of(self, name: str, shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array [H, r] that holds anything; it is the one that was given under this name before."""
        size = shape[0] * shape[1]
        key = name, np.dtype(dtype)
        if key not in self._kept or self._kept[key].size < size:
            self._kept[key] = np.empty(size, dtype)
        return self._kept[key][:size].reshape(shape)

    def taken(self, name: str, rows: Floats, places: IntArray) -> Floats:
        """Rows [H, r] at these places [H], in the array of this name."""
        found = self.of(name, (len(places), rows.shape[1]), rows.dtype)
        return np.take(rows, places, axis=0, out=found, mode="clip")  # without "clip" NumPy would copy once more


@dataclass(frozen=True)
class _RecallSteps:
    """How many of COCO's 101 recalls are reached when so many objects are found, looked up and not searched for."""

    reached: npt.NDArray[np.int8]  # tables one after another, each for a number of objects: of 0, 1, 2, … found
    start: IntArray  # [r] where the table of each resample begins


def _recall_steps(objects: FloatArray) -> _RecallSteps:
    """Make tables for the numbers of objects [r] that occur."""
    distinct, of_resample = np.unique(objects.astype(np.int64), return_inverse=True)
    sizes = distinct + 1
    starts = np.cumsum(sizes) - sizes
    found = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    recall = found / np.maximum(np.repeat(distinct, sizes), 1)
    reached = np.searchsorted(RECALL_THRESHOLDS, recall, side="right").astype(np.int8)
    return _RecallSteps(reached, starts[of_resample])


def _interpolated(found: Floats, seen: Floats, recall: _RecallSteps, arrays: _Arrays) -> FloatArray:
    """[r] the mean over COCO's 101 recalls of the highest precision at that recall or above.

    `found` and `seen` [H, r] are the true and all counted detections up to each true one; `seen` is written over.
    """
    np.maximum(seen, 1, out=seen)  # nothing is found where nothing is seen
    precision = np.divide(found, seen, out=arrays.of("precision", found.shape, np.float64), dtype=np.float64)
    place = arrays.of("place", found.shape, np.int64)
    np.copyto(place, found, casting="unsafe")
    place += recall.start
    reached = recall.reached.take(place, out=arrays.of("reached", found.shape, np.int8), mode="clip")
    newly = arrays.of("newly", found.shape, np.int8)
    newly[0] = reached[0]
    np.subtract(reached[1:], reached[:-1], out=newly[1:])
    highest = _running(np.maximum, precision[::-1])[::-1]
    highest *= newly
    return np.asarray(highest.sum(axis=0) / len(RECALL_THRESHOLDS), dtype=np.float64)


def _columns(rows: int) -> int:
    return min(_MOST_COLUMNS, max(1, _BLOCK_ELEMENTS // max(1, rows)))


def _running(function: np.ufunc, rows: Floats) -> Floats:
    """Accumulate down [H, r] in place: row by row is several times faster than numpy's, which goes down each column."""
    if rows.shape[1] < _NARROW:
        return np.asarray(function.accumulate(rows, axis=0, out=rows))
    for before, row in pairwise(list(rows)):
        function(before, row, out=row)
    return rows


def blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut 0..total into pieces of a size: where each starts and ends."""
    return ((start, min(start + size, total)) for start in range(0, total, size))
