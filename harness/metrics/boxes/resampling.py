"""AP and AR over resamples of images, without matching again.

Matching never looks beyond one image and one category, so a resample only weighs each detection and each object by how
often its image was drawn. A detection drawn c times stands c times in a row in the ranking: precision only rises along
a row of true positives and recall only changes there, so the curve at the row's end is all that the interpolated
precision takes from it. Detections of equal score keep the order that they have in the full set.

Interpolation takes the best precision at a recall or above, so AP is too high on few images, and a resample, which has
fewer distinct ones, is higher again. On 200 splits of 200 synthetic images (10 categories; AP .113 on 20,000) AP was
.143 on average, that of the resamples .152, their standard deviation .023. The nominal 95 % percentile interval held
the expected AP of a split in 94 % of the splits and in 90 % of 100 splits of 1,000 images; moved by the difference
between the value and the mean of the resamples it held it in 94 and 95 %. AR has no such bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.metrics.boxes.engines import IOU_THRESHOLDS, RECALL_THRESHOLDS
from harness.metrics.boxes.matching import MatchedDetections, Ranking
from harness.stats.resampling import FloatArray, IntArray

_CHUNK_ELEMENTS = 200_000  # numbers held at once: they should stay in the processor's cache
_BLOCK_ELEMENTS, _MOST_COLUMNS = 2_000_000, 1024  # resamples are columns: 16 MB of them at once
_SAMPLES_AT_ONCE = 64  # for scores of single samples


@dataclass(frozen=True)
class AveragePrecision:
    """AP over some IoU thresholds and categories; a resample without any object of them has none, and gives NaN."""

    value: float  # 0..1, the engine's
    matched: MatchedDetections
    area: str
    thresholds: tuple[int, ...]  # places in IOU_THRESHOLDS
    categories: tuple[int, ...]  # numbers in the order of ids

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] AP of each image alone, NaN for an image without objects."""
        samples = self.matched.sample_count
        return np.concatenate(
            [
                self._resample(np.eye(end - start), [r.of_samples(start, end) for r in self._rankings])
                for start, end in _blocks(samples, _SAMPLES_AT_ONCE)
            ]
        )

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] AP, 0..1 or NaN."""
        return self._resample(counts, self._rankings)

    @property
    def _rankings(self) -> list[Ranking]:
        rankings = self.matched.rankings(self.area)
        return [rankings[category] for category in self.categories]

    def _resample(self, counts: npt.NDArray[np.generic], rankings: list[Ranking]) -> FloatArray:
        measured = [(ranking, _cuts(ranking, self.thresholds)) for ranking in rankings if len(ranking.objects)]
        sums, categories = np.zeros(len(counts)), np.zeros(len(counts))
        for start, end in _blocks(len(counts), _columns(counts.shape[1])):
            block = counts[start:end].T.astype(np.float64, order="C")
            for ranking, cuts in measured:
                objects = ranking.objects @ block[ranking.object_sample]
                categories[start:end] += objects > 0
                if cuts is not None:
                    sums[start:end] += _precision_sums(block, objects, cuts)
        return _mean_over(sums / len(self.thresholds), categories)


@dataclass(frozen=True)
class AverageRecall:
    """AR over all IoU thresholds and categories; a resample without any object has none, and gives NaN."""

    value: float  # 0..1, the engine's
    matched: MatchedDetections
    area: str
    most: int  # detections of an image and category that count, the surest first

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] AR of each image alone, NaN for an image without objects."""
        found, objects = self._tables
        measured = objects > 0
        shares = np.divide(found, objects, out=np.zeros_like(found), where=measured)
        return _mean_over(shares.sum(axis=1), measured.sum(axis=1).astype(np.float64))

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] AR, 0..1 or NaN."""
        found, objects = self._tables
        scores = np.empty(len(counts))
        for start, end in _blocks(len(counts), max(1, _CHUNK_ELEMENTS // max(1, len(objects)))):
            part = counts[start:end].astype(np.float64)
            drawn = part @ objects
            shares = np.divide(part @ found, drawn, out=np.zeros_like(drawn), where=drawn > 0)
            scores[start:end] = _mean_over(shares.sum(axis=1), (drawn > 0).sum(axis=1).astype(np.float64))
        return scores

    @cached_property
    def _tables(self) -> tuple[FloatArray, FloatArray]:
        """[N, K] objects found, averaged over IoU thresholds, and objects there are."""
        rankings = self.matched.rankings(self.area)
        found = np.zeros((self.matched.sample_count, len(rankings)))
        objects = np.zeros_like(found)
        for category, ranking in enumerate(rankings):
            hits = (ranking.true & (ranking.rank < self.most)).sum(axis=0)
            found[:, category] = np.bincount(ranking.sample, weights=hits, minlength=len(found))
            objects[ranking.object_sample, category] = ranking.objects
        return found / len(IOU_THRESHOLDS), objects


@dataclass(frozen=True)
class _Cuts:
    """Where precision is looked at: at each of the H detections that are true at any of the T thresholds."""

    passed: scipy.sparse.csr_array  # [H, N] how many detections of a sample lie between one of these and the next
    true: tuple[IntArray, ...]  # T times, which of the H are true
    true_sample: tuple[IntArray, ...]  # T times, the samples of these
    ignored_sample: tuple[IntArray, ...]  # T times, of the detections within `passed` that do not count there
    ignored_before: tuple[IntArray, ...]  # T times, how many of these come before each true one


def _cuts(ranking: Ranking, thresholds: Sequence[int]) -> _Cuts | None:
    """Cut a ranking at its true detections; None where there are none."""
    counting = np.any(ranking.counted, axis=0)
    true, counted = (table[list(thresholds)][:, counting] for table in (ranking.true, ranking.counted))
    sample = ranking.sample[counting]
    ends = np.flatnonzero(true.any(axis=0))
    if not len(ends):
        return None
    looked_at = sample[: ends[-1] + 1]
    cut = np.searchsorted(ends, np.arange(len(looked_at)))
    shape = (len(ends), int(sample.max()) + 1)
    hits = [np.flatnonzero(row) for row in true]
    ignored = [np.flatnonzero(~row[: len(looked_at)]) for row in counted]
    return _Cuts(
        passed=scipy.sparse.csr_array((np.ones(len(cut)), (cut, looked_at)), shape=shape),
        true=tuple(np.searchsorted(ends, found) for found in hits),
        true_sample=tuple(sample[found] for found in hits),
        ignored_sample=tuple(sample[left_out] for left_out in ignored),
        ignored_before=tuple(np.searchsorted(o, h) for o, h in zip(ignored, hits, strict=True)),
    )


def _precision_sums(block: FloatArray, objects: FloatArray, cuts: _Cuts) -> FloatArray:
    """[r] the mean interpolated precision of one category, summed over IoU thresholds; 0 where it has no objects.

    `block` [N, r] are how often each sample was drawn, `objects` [r] how many objects were.
    """
    parts = _blocks(len(objects), _columns(cuts.passed.shape[0]))
    return np.concatenate([_sums_of_few(block[:, part], objects[part], cuts) for part in (slice(*p) for p in parts)])


def _sums_of_few(block: FloatArray, objects: FloatArray, cuts: _Cuts) -> FloatArray:
    passed = _running(np.add, cuts.passed @ block[: cuts.passed.shape[1]])
    recall = _recall_steps(objects)
    sums = np.zeros(len(objects))
    for place, true in enumerate(cuts.true):
        if not len(true):
            continue
        found = _running(np.add, block[cuts.true_sample[place]])
        seen = passed[true]
        ignored = cuts.ignored_sample[place]
        if len(ignored):
            without = _running(np.add, np.concatenate([np.zeros((1, len(objects))), block[ignored]]))
            seen -= without[cuts.ignored_before[place]]
        sums += _interpolated(found, seen, recall)
    return sums


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


def _interpolated(found: FloatArray, seen: FloatArray, recall: _RecallSteps) -> FloatArray:
    """[r] the mean over COCO's 101 recalls of the highest precision at that recall or above.

    `found` and `seen` [H, r] are the true and all counted detections up to each true one.
    """
    reached = recall.reached.take(found.astype(np.int64) + recall.start)
    newly = reached.copy()
    newly[1:] -= reached[:-1]
    precision = found / (seen + np.spacing(1))
    highest = _running(np.maximum, precision[::-1])[::-1]
    return np.asarray((highest * newly).sum(axis=0) / len(RECALL_THRESHOLDS), dtype=np.float64)


def _columns(rows: int) -> int:
    return min(_MOST_COLUMNS, max(1, _BLOCK_ELEMENTS // max(1, rows)))


def _running(function: np.ufunc, rows: FloatArray) -> FloatArray:
    """Accumulate down [H, r] in place: row by row is several times faster than numpy's, which goes down each column."""
    for place in range(1, len(rows)):
        function(rows[place], rows[place - 1], out=rows[place])
    return rows


def _mean_over(sums: FloatArray, categories: FloatArray) -> FloatArray:
    means = np.full(len(sums), np.nan)
    np.divide(sums, categories, out=means, where=categories > 0)
    return means


def _blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, total)) for start in range(0, total, size))
