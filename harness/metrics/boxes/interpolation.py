"""Interpolated precision of a category on resamples: rankings cut at what is right in them, and weighed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.metrics.boxes.matching import Ranking
from harness.stats.resampling import FloatArray, IntArray

EXACT = 2**24
"""Whole numbers up to here are exact in float32, which takes half the memory and time."""
_BLOCK_ELEMENTS, _MOST_COLUMNS = 2_000_000, 1024  # resamples are columns: 16 MB of them at once
_NARROW = 160  # columns below which numpy's accumulate is faster than a call for each row

Floats: TypeAlias = npt.NDArray[np.float32] | FloatArray
"""Whole numbers, as floating-point ones that hold them exactly."""


class CutRankings:
    """The rankings of some categories, each cut when it is first asked for and kept cut."""

    def __init__(self, rankings: Sequence[Ranking]) -> None:
        self.rankings = rankings  # [K]
        self._cuts: dict[tuple[int, tuple[int, ...]], _Cuts | None] = {}
        self._arrays = _Arrays()

    def precision(self, category: int, thresholds: tuple[int, ...], columns: Floats, objects: FloatArray) -> FloatArray:
        """[T, R] the mean interpolated precision of a category at each threshold; 0 where it has no objects.

        `columns` [N, R] are how often each sample was drawn, `objects` [R] how many objects were.
        """
        means = np.zeros((len(thresholds), len(objects)))
        if (category, thresholds) not in self._cuts:
            self._cuts[category, thresholds] = _cut(self.rankings[category], thresholds)
        cuts = self._cuts[category, thresholds]
        if cuts is not None:
            rows, samples = cuts.passed.shape
            for start, end in blocks(len(objects), _columns_at_once(rows)):
                block = columns[:samples, start:end]
                means[:, start:end] = _mean_precision(block, objects[start:end], cuts, self._arrays)
        return means


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


def _columns_at_once(rows: int) -> int:
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
