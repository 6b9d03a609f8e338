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

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.metrics.boxes.drawn_precision import DrawnPrecision, Draws
from harness.metrics.boxes.engines import IOU_THRESHOLDS
from harness.metrics.boxes.interpolation import CutRankings, blocks
from harness.metrics.boxes.latest_cells import LatestCells
from harness.metrics.boxes.left_out import LeftOut
from harness.metrics.boxes.matching import MatchedDetections, Ranking
from harness.stats.resampling import BoolArray, FloatArray, IntArray

_SAMPLES_AT_ONCE = 64  # for scores of single samples


@dataclass(frozen=True)
class AveragePrecision:
    """AP over some IoU thresholds and categories; a resample without any object of them has none, and gives NaN."""

    value: float  # 0..1, the engine's
    matched: MatchedDetections
    area: str
    thresholds: tuple[int, ...]  # places in IOU_THRESHOLDS
    categories: tuple[int, ...]  # numbers in the order of ids
    drawn: LatestCells = field(default_factory=LatestCells, repr=False, compare=False)  # shared by metrics of `matched`

    @property
    def informs(self) -> BoolArray:
        """[N] which images have objects."""
        return self.matched.with_objects(self.area, self.categories)

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] AP of each image alone, NaN for an image without objects."""
        samples, rankings = self.matched.sample_count, self.matched.rankings(self.area)
        return np.concatenate(
            [
                self._mean(DrawnPrecision(_part(rankings, start, end), Draws(np.eye(end - start))))
                for start, end in blocks(samples, _SAMPLES_AT_ONCE)
            ]
        )

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] AP, 0..1 or NaN."""
        return self._mean(self.drawn.of(self.matched.rankings(self.area), self.area, counts))[: len(counts)]

    def without_each(self, samples: IntArray) -> FloatArray:
        """[G] AP without each of these samples [G] in turn, 0..1 or NaN."""
        return self._mean(self.drawn.without(self.matched.rankings(self.area), self.area, samples))

    def _mean(self, drawn: DrawnPrecision | LeftOut) -> FloatArray:
        """[R] the mean over the categories with objects among those drawn; NaN where there is none."""
        sums, categories = np.zeros(len(drawn)), np.zeros(len(drawn))
        for category in self.categories:
            if len(drawn.cut.rankings[category].objects):
                categories += drawn.objects[category] > 0
                sums += drawn.precision(category, self.thresholds)
        return _mean_over(sums / len(self.thresholds), categories)


@dataclass(frozen=True)
class AverageRecall:
    """AR over all IoU thresholds and categories; a resample without any object has none, and gives NaN."""

    value: float  # 0..1, the engine's
    matched: MatchedDetections
    area: str
    most: int  # detections of an image and category that count, the surest first
    drawn: LatestCells = field(default_factory=LatestCells, repr=False, compare=False)  # shared by metrics of `matched`

    @property
    def informs(self) -> BoolArray:
        """[N] which images have objects."""
        return self.matched.with_objects(self.area, range(len(self.matched.truth.categories)))

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] AR of each image alone, NaN for an image without objects."""
        found, objects = self._tables
        measured = objects > 0
        shares = np.divide(found, objects, out=np.zeros_like(found), where=measured)
        return _mean_over(shares.sum(axis=1), measured.sum(axis=1).astype(np.float64))

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] AR, 0..1 or NaN."""
        return self._mean(self.drawn.of(self.matched.rankings(self.area), self.area, counts))[: len(counts)]

    def without_each(self, samples: IntArray) -> FloatArray:
        """[G] AR without each of these samples [G] in turn, 0..1 or NaN."""
        return self._mean(self.drawn.without(self.matched.rankings(self.area), self.area, samples))

    def _mean(self, drawn: DrawnPrecision | LeftOut) -> FloatArray:
        found, objects = drawn.found(self.most) / len(IOU_THRESHOLDS), drawn.objects
        shares = np.divide(found, objects, out=np.zeros_like(found), where=objects > 0)
        return _mean_over(shares.sum(axis=0), (objects > 0).sum(axis=0).astype(np.float64))

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


def _mean_over(sums: FloatArray, categories: FloatArray) -> FloatArray:
    means = np.full(len(sums), np.nan)
    np.divide(sums, categories, out=means, where=categories > 0)
    return means


def _part(rankings: Sequence[Ranking], start: int, end: int) -> CutRankings:
    return CutRankings([ranking.of_samples(start, end) for ranking in rankings])
