"""Interpolated precision of a category on resamples: rankings cut at what is right in them, and weighed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.metrics.boxes.matching import Ranking
from harness.metrics.boxes.recall_steps import Arrays, Floats, RecallSteps, recall_steps
from harness.stats.resampling import BoolArray, FloatArray, IntArray

EXACT = 2**24
"""Whole numbers up to here are exact in float32, which takes half the memory and time."""
_BLOCK_ELEMENTS, _MOST_COLUMNS = 4_000_000, 1024  # resamples are columns: 16 MB of them at once
_STRETCH_ELEMENTS = 32_768  # what is worked out of these at a time stays in the processor's cache
_NARROW = 160  # columns below which numpy's accumulate is faster than a call for each row


class CutRankings:
    """The rankings of some categories, each cut when it is first asked for and kept cut."""

    def __init__(self, rankings: Sequence[Ranking]) -> None:
        self.rankings = rankings  # [K]
        self._cuts: dict[tuple[int, tuple[int, ...]], _Cuts | None] = {}
        self._arrays = Arrays()

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
    """Where precision is looked at: at each of the U detections that are true at any of the T thresholds."""

    passed: scipy.sparse.csr_array  # [U, N] how many detections of a sample lie between one of these and the next
    curves: tuple[_Curve, ...]  # T


@dataclass(frozen=True)
class _Curve:
    """Where precision is looked at at one threshold: at the last of each of H rows of true detections.

    Along a row, in which no detection is wrong, precision only rises, however often samples are drawn.
    """

    found: scipy.sparse.csr_array  # [H, N] how many true detections of a sample are in a row
    at: IntArray  # [H] which of the U the last ones are
    ignored_sample: IntArray  # [I] of the detections within `passed` that do not count at this threshold
    ignored_before: IntArray  # [H] how many of these come before


def _cut(ranking: Ranking, thresholds: Sequence[int]) -> _Cuts | None:
    """Cut a ranking at its true detections; None where there are none."""
    counting = np.any(ranking.counted, axis=0)
    true, counted = (table[list(thresholds)][:, counting] for table in (ranking.true, ranking.counted))
    sample = ranking.sample[counting]
    ends = np.flatnonzero(true.any(axis=0))
    if not len(ends):
        return None
    samples, end = int(sample.max()) + 1, int(ends[-1]) + 1
    looked_at = sample[:end]
    curves = (_curve(*facts, looked_at, ends, samples) for facts in zip(true[:, :end], counted[:, :end], strict=True))
    return _Cuts(_counts(looked_at, ends + 1, samples), tuple(curves))


def _curve(true: BoolArray, counted: BoolArray, sample: IntArray, ends: IntArray, samples: int) -> _Curve:
    """Cut a ranking of D detections at one threshold: [D] which are true and which counted, and their samples."""
    hits, ignored = np.flatnonzero(true), np.flatnonzero(~counted)
    wrong_before = np.cumsum(counted & ~true)[hits]
    last = np.flatnonzero(np.diff(wrong_before, append=len(sample) + 1))
    return _Curve(
        found=_counts(sample[hits], last + 1, samples),
        at=np.searchsorted(ends, hits[last]),
        ignored_sample=sample[ignored],
        ignored_before=np.searchsorted(ignored, hits[last]),
    )


def _counts(sample: IntArray, ends: IntArray, samples: int) -> scipy.sparse.csr_array:
    """[H, N] how often a sample occurs between one end and the next; `ends` [H] ascend."""
    shape, rows = (len(ends), samples), np.concatenate([[0], ends])
    return scipy.sparse.csr_array((np.ones(len(sample), np.float32), sample, rows), shape=shape)


def _mean_precision(block: Floats, objects: FloatArray, cuts: _Cuts, arrays: Arrays) -> FloatArray:
    """[T, r] the mean interpolated precision of one category at each threshold; 0 where it has no objects.

    `block` [N, r] are how often each sample was drawn, `objects` [r] how many objects were.
    """
    means = np.zeros((len(cuts.curves), len(objects)))
    if not len(objects):
        return means
    passed = _running(np.add, cuts.passed @ block)
    recall = recall_steps(objects)
    for mean, curve in zip(means, cuts.curves, strict=True):
        if len(curve.at):
            mean[:] = _interpolated(block, passed, curve, recall, arrays)
    return means


def _interpolated(block: Floats, passed: Floats, curve: _Curve, recall: RecallSteps, arrays: Arrays) -> FloatArray:
    """[r] the mean over COCO's 101 recalls of the highest precision at that recall or above.

    From the end of the ranking to its beginning, a stretch of the H rows at a time.
    """
    found = _running(np.add, curve.found @ block)
    without = _ignored(block, curve)
    sums, above = np.zeros(block.shape[1]), np.zeros(block.shape[1])
    for start, end in reversed(list(blocks(len(found), max(8, _STRETCH_ELEMENTS // block.shape[1])))):
        seen = arrays.taken("seen", passed, curve.at[start:end])
        if without is not None:
            seen -= arrays.taken("ignored", without, curve.ignored_before[start:end])
        if seen[0].min() < 1:  # nothing is found where nothing is seen
            np.maximum(seen, 1, out=seen)
        out = arrays.of("precision", seen.shape, np.float64)
        precision = np.divide(found[start:end], seen, out=out, dtype=np.float64)
        np.maximum(precision[-1], above, out=precision[-1])
        _running(np.maximum, precision[::-1])
        above[:] = precision[0]
        precision *= recall.newly(found, start, end, arrays)
        sums += precision.sum(axis=0)
    return sums / len(RECALL_THRESHOLDS)


def _ignored(block: Floats, curve: _Curve) -> Floats | None:
    """[I + 1, r] how many of the detections that do not count were drawn, of the first 0, 1, 2, …; None of none."""
    if not curve.ignored_before[-1]:
        return None
    drawn = block[curve.ignored_sample]
    return _running(np.add, np.concatenate([np.zeros_like(drawn[:1]), drawn]))


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
