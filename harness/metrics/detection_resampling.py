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

from harness.metrics.detection_engines import IOU_THRESHOLDS, RECALL_THRESHOLDS
from harness.metrics.detection_matching import MatchedDetections, Ranking
from harness.metrics.resampling import FloatArray, IntArray

_CHUNK_ELEMENTS = 200_000  # weights of detections held at once: they should stay in the processor's cache
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
        sums, categories = np.zeros(len(counts)), np.zeros(len(counts))
        for ranking in rankings:
            if not len(ranking.objects):
                continue
            counting = np.any(ranking.counted, axis=0)
            rows = max(1, _CHUNK_ELEMENTS // max(1, int(counting.sum())))
            for start, end in _blocks(len(counts), rows):
                part = counts[start:end].astype(np.float64)
                objects = part[:, ranking.object_sample] @ ranking.objects
                weights = np.take(part, ranking.sample[counting], axis=1)
                sums[start:end] += _precision_sums(weights, objects, ranking, counting, self.thresholds)
                categories[start:end] += objects > 0
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


def _precision_sums(
    weights: FloatArray,
    objects: FloatArray,
    ranking: Ranking,
    counting: npt.NDArray[np.bool_],
    thresholds: Sequence[int],
) -> FloatArray:
    """[r] the mean interpolated precision of one category, summed over IoU thresholds; 0 where it has no objects.

    `weights` [r, D] are how often each detection of `counting` was drawn, `objects` [r] how many objects were.
    """
    drawn = np.cumsum(weights, axis=1)
    sums = np.zeros(len(weights))
    for threshold in thresholds:
        hits = np.flatnonzero(ranking.true[threshold, counting])
        if not len(hits):
            continue
        found = np.cumsum(weights[:, hits], axis=1)
        seen = drawn[:, hits]
        ignored = np.flatnonzero(~ranking.counted[threshold, counting])
        if len(ignored):
            passed = np.zeros((len(weights), len(ignored) + 1))
            np.cumsum(weights[:, ignored], axis=1, out=passed[:, 1:])
            seen -= passed[:, np.searchsorted(ignored, hits)]
        sums += _interpolated(found, seen, objects)
    return sums


def _interpolated(found: FloatArray, seen: FloatArray, objects: FloatArray) -> FloatArray:
    """[r] the mean over COCO's 101 recalls of the highest precision at that recall or above.

    `found` and `seen` [r, H] are the true and all counted detections up to each true one.
    """
    precision = found / (seen + np.spacing(1))
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(objects, 1)[:, None]
    reached = np.searchsorted(RECALL_THRESHOLDS, recall.ravel(), side="right").reshape(recall.shape)
    newly = np.diff(reached, axis=1, prepend=0)
    return np.asarray((highest * newly).sum(axis=1) / len(RECALL_THRESHOLDS), dtype=np.float64)


def _mean_over(sums: FloatArray, categories: FloatArray) -> FloatArray:
    means = np.full(len(sums), np.nan)
    np.divide(sums, categories, out=means, where=categories > 0)
    return means


def _blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, total)) for start in range(0, total, size))
