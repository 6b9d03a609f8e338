"""Which detections are right and which are wrong, as rankings that resamples can weigh.

COCO's evaluation gives each detection of an image to at most one object of its category; the engine does it here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.metrics.boxes.columns import DetectionColumns, Iou
from harness.metrics.boxes.engines import AREAS, IOU_THRESHOLDS, MOST_DETECTIONS, Engine, match_columns
from harness.metrics.boxes.truth import DetectionTruth, TruthColumns
from harness.stats.resampling import BoolArray, FloatArray, IntArray

_ROUNDING = 1e-6


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

    def with_objects(self, area: str, categories: Sequence[int]) -> BoolArray:
        """[N] which samples have an object of these categories within a range of area, which needs no matching."""
        rows = self.truth.columns
        wanted = np.zeros(len(self.truth.categories), dtype=bool)
        wanted[list(categories)] = True
        found = np.zeros(self.sample_count, dtype=bool)
        found[self.truth.sample_of_image[rows.image[_inside(rows, area) & wanted[rows.category]]]] = True
        return found

    def _rank(self, area: str) -> Iterator[Ranking]:
        order, _, rank = self._pairs
        image, category = self.detections.image[order], self.detections.category[order]
        true, counted = self._match(area)
        surest = np.lexsort((-self.detections.score[order], category))
        surest = surest[rank[surest] < MOST_DETECTIONS[-1]]
        ends = np.searchsorted(category[surest], np.arange(len(self.truth.categories) + 1))
        rows = self.truth.columns
        inside = _inside(rows, area)
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

    @cached_property
    def _facing(self) -> IntArray:
        """The detections, by pairs, that the engine has to match: among the best of their pair, and near an object."""
        order, pair, rank = self._pairs
        rows = self.truth.columns
        of_truth = rows.category * self.sample_count + rows.image
        if self.detections.boxes is None or self.iou == "segm":
            return np.flatnonzero(np.isin(pair, of_truth) & (rank < MOST_DETECTIONS[-1]))
        by_pair = np.argsort(of_truth, kind="stable")
        first, end = (np.searchsorted(of_truth[by_pair], pair, side) for side in ("left", "right"))
        objects = np.where(rank < MOST_DETECTIONS[-1], end - first, 0)
        found = np.repeat(np.arange(len(pair)), objects)
        step = np.arange(len(found)) - np.repeat(np.cumsum(objects) - objects, objects)
        against = by_pair[np.repeat(first, objects) + step]
        return np.unique(found[_may_match(self.detections.boxes[order[found]], rows, against)])

    def _match(self, area: str) -> tuple[BoolArray, BoolArray]:
        """[T, D] which detections, by pairs, are true and which are counted.

        Only detections that may reach the lowest IoU with an object of their pair go to the engine; every other one
        within the range is false.
        """
        order, _, _ = self._pairs
        low, high = AREAS[area]
        size = self.detections.area[order]
        shape = (len(IOU_THRESHOLDS), len(order))
        true, counted = np.zeros(shape, dtype=bool), np.empty(shape, dtype=bool)
        counted[:] = (size >= low) & (size <= high)
        if not len(self._facing):
            return true, counted
        facing = np.sort(order[self._facing])
        place_of = np.empty(len(order), dtype=np.int64)
        place_of[order] = np.arange(len(order))
        matches = match_columns(self.truth, self.detections.where(facing), self.iou, self.engine, area)
        place = place_of[facing[matches.detection]]
        true[:, place] = matches.found & ~matches.ignored
        counted[:, place] = ~matches.ignored
        return true, counted


def _inside(rows: TruthColumns, area: str) -> BoolArray:
    """[M] which annotations are objects within a range of area, rather than crowds or out of it."""
    low, high = AREAS[area]
    return np.asarray((rows.crowd == 0) & (rows.area >= low) & (rows.area <= high))


def _may_match(boxes: FloatArray, rows: TruthColumns, against: IntArray) -> BoolArray:
    """[P] whether boxes [P, 4] can reach the lowest IoU with these annotations [P]; of crowds, with their own area.

    The engine decides: what rounding could lift over the threshold stays in.
    """
    truth = rows.boxes[against]
    start = np.maximum(boxes[:, :2], truth[:, :2])
    sides = np.minimum(boxes[:, :2] + boxes[:, 2:], truth[:, :2] + truth[:, 2:]) - start
    common = np.prod(sides.clip(min=0), axis=1)
    own = np.prod(boxes[:, 2:], axis=1)
    union = np.where(rows.crowd[against] > 0, own, own + np.prod(truth[:, 2:], axis=1) - common)
    return np.asarray(common >= union * (IOU_THRESHOLDS[0] - _ROUNDING))
