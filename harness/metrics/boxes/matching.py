"""Which detections are right and which are wrong, as rankings that resamples can weigh.

COCO's evaluation gives each detection of an image to at most one object of its category (`cocoeval.py` in pycocotools,
`evaluateImg`). The engines do so too, but hand it out in Python's lists, which takes them ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from harness.metrics.boxes.columns import DetectionColumns, Iou
from harness.metrics.boxes.engines import AREAS, IOU_THRESHOLDS, MOST_DETECTIONS
from harness.metrics.boxes.overlaps import Overlaps, overlaps
from harness.metrics.boxes.truth import DetectionTruth, TruthColumns
from harness.stats.resampling import BoolArray, IntArray


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

    def hits(self, most: int) -> tuple[IntArray, IntArray]:
        """[H] samples of detections that are true among the `most` surest of an image, and [H] at how many IoUs."""
        many = np.asarray((self.true & (self.rank < most)).sum(axis=0), np.int64)
        some = np.flatnonzero(many)
        return self.sample[some], many[some]

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
                true[:, order[places]],
                counted[:, order[places]],
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
    def _overlaps(self) -> Overlaps:
        """The detections that may find an object, those of lower rank in their pair first."""
        order, pair, rank = self._pairs
        rows = self.truth.columns
        of_truth = rows.category * self.sample_count + rows.image
        by_pair = np.argsort(of_truth, kind="stable")
        first, end = (np.searchsorted(of_truth[by_pair], pair, side) for side in ("left", "right"))
        facing = np.flatnonzero((first < end) & (rank < MOST_DETECTIONS[-1]))
        facing = facing[np.argsort(rank[facing], kind="stable")]
        ends = first[facing], end[facing], by_pair
        return overlaps(self.truth, self.detections, self.iou, order[facing], *ends)

    def _match(self, area: str) -> tuple[BoolArray, BoolArray]:
        """[T, D] which detections are true and which are counted."""
        low, high = AREAS[area]
        shape = (len(IOU_THRESHOLDS), len(self.detections))
        true, counted = np.zeros(shape, dtype=bool), np.empty(shape, dtype=bool)
        counted[:] = (self.detections.area >= low) & (self.detections.area <= high)
        rows = self.truth.columns
        ignored, taken = ~_inside(rows, area), np.zeros((len(IOU_THRESHOLDS), len(rows)), dtype=bool)
        for turn in _turns(self._overlaps, self._pairs):
            detection, annotation, iou = turn.detection, turn.annotation, turn.iou
            # Objects come before what is ignored, then the highest IoU wins, and of equal ones the last.
            best = np.lexsort((annotation, iou, ~ignored[annotation], detection))
            detection, annotation, iou = detection[best], annotation[best], iou[best]
            free = (iou >= IOU_THRESHOLDS[:, None]) & ~taken[:, annotation]
            starts = np.flatnonzero(np.diff(detection, prepend=-1))
            last = np.maximum.reduceat(np.where(free, np.arange(len(iou)), -1), starts, axis=1)
            threshold, place = np.nonzero(last >= 0)
            given = annotation[last[threshold, place]]
            found = detection[starts[place]]
            true[threshold, found] = counted[threshold, found] = ~ignored[given]
            taken[threshold, given] = rows.crowd[given] == 0
        return true, counted


def _turns(pairs: Overlaps, ordered: tuple[IntArray, IntArray, IntArray]) -> Iterator[Overlaps]:
    """Cut overlaps so that of each image and category one detection is in each part, the surest in the first."""
    order, pair, _ = ordered
    pair_of = np.empty(len(order), dtype=np.int64)
    pair_of[order] = pair
    starts = np.flatnonzero(np.diff(pairs.detection, prepend=-1))
    own = pair_of[pairs.detection[starts]]
    by_pair = np.argsort(own, kind="stable")
    firsts = np.flatnonzero(np.diff(own[by_pair], prepend=-1))
    turn = np.empty(len(own), dtype=np.int64)
    turn[by_pair] = np.arange(len(own)) - np.repeat(firsts, np.diff(firsts, append=len(own)))
    turn = np.repeat(turn, np.diff(starts, append=len(pairs.detection)))
    by_turn = np.argsort(turn, kind="stable")
    bounds = np.searchsorted(turn[by_turn], np.arange(int(turn.max(initial=-1)) + 2))
    for start, end in pairwise(bounds.tolist()):
        part = by_turn[start:end]
        yield Overlaps(pairs.detection[part], pairs.annotation[part], pairs.iou[part])


def _inside(rows: TruthColumns, area: str) -> BoolArray:
    """[M] which annotations are objects within a range of area, rather than crowds or out of it."""
    low, high = AREAS[area]
    return np.asarray((rows.crowd == 0) & (rows.area >= low) & (rows.area <= high))
