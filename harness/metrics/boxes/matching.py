"""Which detections are right and which are wrong, as rankings that resamples can weigh.

COCO's evaluation gives each detection of an image to at most one object of its category; the engine does it here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from harness.metrics.boxes.columns import DetectionColumns, Iou
from harness.metrics.boxes.engines import AREAS, IOU_THRESHOLDS, MOST_DETECTIONS, Engine, match_images
from harness.metrics.boxes.truth import DetectionTruth
from harness.stats.resampling import IntArray

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ranking:
    """The detections and objects of one category within one range of area, the surest detection first.

    A detection that is neither is ignored: matched to a crowd or to an object out of the range, or itself out of it.
    """

    sample: IntArray  # [D] of each detection, 0..N-1
    rank: IntArray  # [D] among the detections of its image and category, from 0
    true: BoolArray  # [T, D] found an object, at each IoU threshold
    counted: BoolArray  # [T, D] true or false, not ignored
    object_sample: IntArray  # [S] samples with objects of this category
    objects: IntArray  # [S] how many each has; crowds and objects out of the range are not counted

    def of_samples(self, first: int, end: int) -> Ranking:
        """Keep samples first..end-1 and number them from 0."""
        kept = (self.sample >= first) & (self.sample < end)
        with_objects = (self.object_sample >= first) & (self.object_sample < end)
        return Ranking(
            self.sample[kept] - first,
            self.rank[kept],
            self.true[:, kept],
            self.counted[:, kept],
            self.object_sample[with_objects] - first,
            self.objects[with_objects],
        )


@dataclass(frozen=True)
class MatchedDetections:
    """Matches detections to the truth once for each range of area that is asked for."""

    truth: DetectionTruth
    detections: DetectionColumns
    iou: Iou
    engine: Engine
    _rankings: dict[str, tuple[Ranking, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sample_count(self) -> int:
        """How many images there are."""
        return len(self.truth.image_ids)

    def rankings(self, area: str) -> tuple[Ranking, ...]:
        """[K] the ranking of each category."""
        if area not in self._rankings:
            self._rankings[area] = tuple(self._rank(area))
        return self._rankings[area]

    def _rank(self, area: str) -> Iterator[Ranking]:
        order, _, rank = self._pairs
        image, category = self.detections.image[order], self.detections.category[order]
        true, counted = self._match(area)
        surest = np.lexsort((-self.detections.score[order], category))
        surest = surest[rank[surest] < MOST_DETECTIONS[-1]]
        ends = np.searchsorted(category[surest], np.arange(len(self.truth.categories) + 1))
        rows, low, high = self.truth.columns, *AREAS[area]
        inside = (rows.crowd == 0) & (rows.area >= low) & (rows.area <= high)
        for number in range(len(self.truth.categories)):
            places = surest[ends[number] : ends[number + 1]]
            objects = self.truth.sample_of_image[rows.image[inside & (rows.category == number)]]
            yield Ranking(
                self.truth.sample_of_image[image[places]],
                rank[places],
                true[:, places],
                counted[:, places],
                *np.unique(objects, return_counts=True),
            )

    @cached_property
    def _pairs(self) -> tuple[IntArray, IntArray, IntArray]:
        """The detections by category, image and falling score: their places [D], pairs [D] and ranks in them [D].

        A pair is an image and a category, numbered category * N + image.
        """
        pair = self.detections.category * self.sample_count + self.detections.image
        order = np.lexsort((-self.detections.score, pair))
        pair = pair[order]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        rank = np.arange(len(pair)) - np.repeat(starts, np.diff(starts, append=len(pair)))
        return order, pair, rank

    def _match(self, area: str) -> tuple[BoolArray, BoolArray]:
        """[T, D] which detections, by pairs, are true and which are counted.

        Only pairs with an object go to the engine; elsewhere every detection within the range is false.
        """
        order, pair, _ = self._pairs
        low, high = AREAS[area]
        size = self.detections.area[order]
        shape = (len(IOU_THRESHOLDS), len(order))
        true, counted = np.zeros(shape, dtype=bool), np.empty(shape, dtype=bool)
        counted[:] = (size >= low) & (size <= high)
        rows = self.truth.columns
        with_objects = np.unique(rows.category * self.sample_count + rows.image)
        facing = np.sort(order[np.isin(pair, with_objects)])
        if not len(facing):
            return true, counted
        for entry in match_images(self.truth, self.detections.where(facing), self.iou, self.engine, area):
            number = (entry["category_id"] - 1) * self.sample_count + entry["image_id"] - 1
            start = np.searchsorted(pair, number)
            place = slice(start, start + len(entry["dtIds"]))
            ignored = np.asarray(entry["dtIgnore"], dtype=bool).reshape(shape[0], -1)
            true[:, place] = (np.asarray(entry["dtMatches"]).reshape(shape[0], -1) > 0) & ~ignored
            counted[:, place] = ~ignored
        return true, counted
