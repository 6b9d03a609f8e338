"""Interpolated precision without one image at a time, where that image has no object of the category.

Without such an image no detection that is right goes and no object: only wrong ones go. The precision at each recall
then is the highest of a few that can be looked up, so an image costs about as much as it has wrong detections of the
category; to weigh the whole ranking anew costs as much as the ranking has right ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.metrics.boxes.matching import Ranking
from harness.stats.resampling import BoolArray, FloatArray, IntArray


def precision_without(ranking: Ranking, thresholds: Sequence[int], left_out: IntArray) -> FloatArray:
    """[T, G] the mean interpolated precision at some IoU thresholds without each of G samples, drawing others once.

    The samples have no object of the category; that has some of others.
    """
    samples = int(max(ranking.sample.max(initial=0), left_out.max(initial=0))) + 1
    wanted = np.zeros(samples, dtype=bool)
    wanted[left_out] = True
    theirs = np.flatnonzero(wanted[ranking.sample])
    theirs = theirs[np.argsort(ranking.sample[theirs], kind="stable")]
    objects = int(ranking.objects.sum())
    found = np.empty((len(thresholds), len(left_out)))
    for row, place in zip(found, thresholds, strict=True):
        true, counted = ranking.true[place], ranking.counted[place]
        curve = _Curve(true, counted, objects)
        wrong = theirs[(counted & ~true)[theirs]]
        before = curve.upto[wrong]
        mattering = before < curve.hits
        of_sample = np.full(samples, curve.whole)
        owners, values = curve.without(ranking.sample[wrong[mattering]], before[mattering])
        of_sample[owners] = values
        row[:] = of_sample[left_out]
    return found


class _Curve:
    """The precision of a ranking [D] at its right detections, with wrong ones before them taken away."""

    def __init__(self, true: BoolArray, counted: BoolArray, objects: int) -> None:
        self.upto: IntArray = true.cumsum()  # [D] right detections up to each
        self.hits = int(self.upto[-1]) if len(true) else 0
        self._seen = counted.cumsum()[true].astype(np.float64)
        self._found = np.arange(1.0, self.hits + 1)
        self._reached = np.zeros(self.hits + 1, np.int64)  # COCO's recalls that are reached with so many found
        self._reached[1:] = RECALL_THRESHOLDS.searchsorted(self._found / objects, side="right")
        self._newly = self._reached[1:] - self._reached[:-1]
        self._nothing_taken = self._highest(0)

    @property
    def whole(self) -> float:
        """The mean over COCO's recalls with nothing taken away."""
        return float(self._nothing_taken[1][-1]) / len(RECALL_THRESHOLDS)

    def without(self, owner: IntArray, before: IntArray) -> tuple[IntArray, FloatArray]:
        """The mean without the wrong detections of each sample, for those that have any: samples [P], means [P].

        `owner` [F] are the samples of wrong detections, ascending, and `before` [F] how many right ones come before,
        ascending within a sample. Between the wrong detections of a sample, of which j came before, the precision of
        each right one is that with j taken away. From the last stretch to the first, the highest at a recall or above
        is that within the stretch or, if that is higher, the highest of the later stretches.
        """
        if not len(owner):
            return owner, np.zeros(0)
        bounds = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1], [True]]))
        falling = bounds[:-1] - bounds[1:]
        order = falling.argsort(kind="stable")
        first, falling = bounds[order], falling[order]
        sums, later = np.zeros(len(first)), np.zeros(len(first))
        end = np.full(len(first), self.hits)
        for taken in range(-int(falling[0]), -1, -1):
            some = int(falling.searchsorted(-taken, side="right"))  # as many samples have so many wrong detections
            highest, summed = self._highest(taken) if taken else self._nothing_taken
            start = before[first[:some] + taken - 1] if taken else np.zeros(some, np.int64)
            above = (-highest).searchsorted(-later[:some])  # so many right detections have more than all later ones
            above = np.minimum(np.maximum(above, start), end[:some])
            sums[:some] += summed[above] - summed[start]
            sums[:some] += later[:some] * (self._reached[end[:some]] - self._reached[above])
            later[:some] = np.maximum(later[:some], highest[start])
            end[:some] = start
        return owner[first], sums / len(RECALL_THRESHOLDS)

    def _highest(self, taken: int) -> tuple[FloatArray, FloatArray]:
        """Precision with so many wrong detections taken away: [hits] the highest from each right one on, and sums.

        Sums [hits + 1] are over COCO's recalls that the right ones before each reach. Right ones before which fewer
        wrong ones came are not asked for: their precision is 1 here.
        """
        precision = self._found / np.maximum(self._seen - taken, self._found)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        sums = np.zeros(self.hits + 1)
        np.cumsum(highest * self._newly, out=sums[1:])
        return highest, sums
