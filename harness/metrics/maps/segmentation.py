"""Semantic segmentation: intersection over union of label maps, per class and averaged.

A class of the data set counts in a mean over classes if it occurs in the truth or in the predictions of the images at
hand, as in mmsegmentation (`nanmean` of IoU, where a class without any pixel is 0 / 0) and hotcoco. A class that is
predicted but never true has IoU 0 and no accuracy. In a resample the classes that occur are those of its images.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.protocols import Statistics
from harness.stats.resampling import FloatArray, IntArray, weighted_sums

LabelMap = npt.NDArray[np.integer[Any]]
"""[H, W] the class of each pixel, 0..C-1."""

IGNORE = 255
"""The label of pixels that are not scored, in PASCAL VOC, Cityscapes and COCO-Stuff."""

PixelFunction = Callable[[FloatArray], FloatArray]
"""[R, C, 3] summed pixels -> [R] scores, NaN where there is nothing to measure."""


@dataclass(frozen=True)
class SegmentationCounts:
    """How many pixels of each class N images have: true and found, true, predicted."""

    table: IntArray  # [N, C, 3] intersection, true and predicted pixels; ignored pixels are in none

    @classmethod
    def stack(cls, images: Iterable[IntArray]) -> SegmentationCounts:
        """Put together the counts [C, 3] of single images; raises DataError where there are none."""
        tables = list(images)
        if not tables:
            raise DataError("There are no label maps, so there is nothing to score. Check the split.")
        return cls(np.stack(tables))


def count_pixels(
    truth: LabelMap, predicted: LabelMap, classes: int, ignore: int | None = IGNORE, place: str = "the label map"
) -> IntArray:
    """[C, 3] intersection, true and predicted pixels of one image.

    `truth` and `predicted` are integer maps [H, W] of labels 0..C-1; pixels whose truth is `ignore` are left out,
    whatever is predicted there. `place` is named in errors. Raises DataError for maps of other shapes or labels.
    """
    for name, labels in (("truth", truth), ("prediction", predicted)):
        if labels.ndim != 2 or labels.dtype.kind not in "iu":
            raise DataError(f"{place}: the {name} is {labels.dtype} {list(labels.shape)}, not whole numbers [H, W].")
    if truth.shape != predicted.shape:
        raise DataError(
            f"{place}: the prediction is {list(predicted.shape)} (height, width), the truth {list(truth.shape)}. "
            "Predict a label for each pixel of the image file."
        )
    if ignore is not None:
        scored = truth != ignore
        truth, predicted = truth[scored], predicted[scored]
    _require_labels(truth, classes, f"{place}: the truth", f" and the ignored {ignore}" if ignore is not None else "")
    _require_labels(predicted, classes, f"{place}: the prediction", "")
    true, found = truth.ravel().astype(np.int64), predicted.ravel().astype(np.int64)
    columns = [np.bincount(labels, minlength=classes) for labels in (true[true == found], true, found)]
    return np.stack(columns, axis=1).astype(np.int64)


def segmentation_statistics(
    counts: SegmentationCounts, class_names: Sequence[str], unseen: Collection[int] | None = None
) -> dict[str, Statistics | None]:
    """`mIoU`, `pixel-accuracy` and `mean-accuracy`, each 0..1 and higher is better; None where nothing can be measured.

    With `unseen`, the numbers 0..C-1 of the classes that a model was not trained on, also `mIoU-seen`, `mIoU-unseen`
    and `hIoU`, their harmonic mean (Bucher et al. 2019, arXiv:1906.00817). Raises DataError for an
    unknown class, or unless some are unseen and some are not.
    """
    _require_names(counts, class_names)
    every = tuple(range(len(class_names)))
    scores: dict[str, PixelFunction] = {
        "mIoU": partial(mean_iou, classes=every),
        "pixel-accuracy": pixel_accuracy,
        "mean-accuracy": mean_accuracy,
    }
    if unseen is not None:
        seen, new = _split(every, unseen)
        scores["mIoU-seen"], scores["mIoU-unseen"] = partial(mean_iou, classes=seen), partial(mean_iou, classes=new)
        scores["hIoU"] = partial(harmonic_iou, seen=seen, unseen=new)
    return {name: _measured(PixelStatistics(counts, score)) for name, score in scores.items()}


def per_class_iou(counts: SegmentationCounts, class_names: Sequence[str]) -> dict[str, Statistics | None]:
    """IoU of each class as `per-class:NAME`; None for a class that is neither true nor predicted anywhere."""
    _require_names(counts, class_names)
    return {
        f"per-class:{name}": _measured(PixelStatistics(counts, partial(mean_iou, classes=(number,))))
        for number, name in enumerate(class_names)
    }


@dataclass(frozen=True)
class PixelStatistics:
    """A score that is a function of pixels summed over images."""

    counts: SegmentationCounts
    score: PixelFunction

    @cached_property
    def value(self) -> float:
        """The score over all images, 0..1; NaN where there is nothing to measure."""
        return float(self.score(self.counts.table.sum(axis=0)[None].astype(np.float64))[0])

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] the score of each image alone, NaN where there is nothing to measure in it."""
        return self.score(self.counts.table.astype(np.float64))

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] scores, 0..1, or NaN where there is nothing to measure."""
        images, classes, kinds = self.counts.table.shape
        sums = weighted_sums(counts, self.counts.table.reshape(images, classes * kinds).astype(np.float64))
        return self.score(sums.reshape(-1, classes, kinds))

    def without_each(self, samples: IntArray) -> FloatArray:
        """[G] scores without each of these samples [G] in turn, 0..1, or NaN where there is nothing to measure."""
        table = self.counts.table
        return self.score((table.sum(axis=0) - table[samples]).astype(np.float64))


def mean_iou(sums: FloatArray, classes: Sequence[int]) -> FloatArray:
    """[R, C, 3] pixels -> [R] IoU averaged over those of `classes` that occur (Everingham et al. 2015, IJCV 111)."""
    intersection, true, predicted = np.moveaxis(sums[:, list(classes)], 2, 0)
    return _mean_ratio(intersection, true + predicted - intersection)


def mean_accuracy(sums: FloatArray) -> FloatArray:
    """[R, C, 3] pixels -> [R] share of each class's pixels that is found, averaged over the classes that are true."""
    return _mean_ratio(sums[..., 0], sums[..., 1])


def pixel_accuracy(sums: FloatArray) -> FloatArray:
    """[R, C, 3] pixels -> [R] share of pixels whose class is right."""
    return _mean_ratio(sums[..., 0].sum(axis=1, keepdims=True), sums[..., 1].sum(axis=1, keepdims=True))


def harmonic_iou(sums: FloatArray, seen: Sequence[int], unseen: Sequence[int]) -> FloatArray:
    """[R, C, 3] pixels -> [R] harmonic mean of both mean IoUs; NaN where one of them has nothing to measure."""
    a, b = mean_iou(sums, seen), mean_iou(sums, unseen)
    return np.asarray(2 * a * b / np.where(a + b == 0, 1, a + b), dtype=np.float64)


def _mean_ratio(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """[R, C] -> [R] the mean of parts / wholes where there is a whole, else NaN."""
    occurs = wholes > 0
    ratios = np.divide(parts, wholes, out=np.zeros_like(parts), where=occurs)
    means = np.full(len(parts), np.nan)
    np.divide(ratios.sum(axis=1), occurs.sum(axis=1), out=means, where=occurs.any(axis=1))
    return means


def _measured(statistics: PixelStatistics) -> PixelStatistics | None:
    return None if np.isnan(statistics.value) else statistics


def _split(every: tuple[int, ...], unseen: Collection[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if unknown := set(unseen) - set(every):
        raise DataError(f"There is no class {min(unknown)} to be unseen: classes are 0..{len(every) - 1}.")
    seen = tuple(number for number in every if number not in unseen)
    if not seen or not unseen:
        raise DataError(f"{len(every) - len(seen)} of {len(every)} classes are unseen; name some of them, not all.")
    return seen, tuple(sorted(set(unseen)))


def _require_names(counts: SegmentationCounts, class_names: Sequence[str]) -> None:
    if len(class_names) != counts.table.shape[1]:
        raise DataError(f"{len(class_names)} class names for {counts.table.shape[1]} classes. Give one for each.")
    if len(set(class_names)) != len(class_names):
        twice = next(name for name in class_names if list(class_names).count(name) > 1)
        raise DataError(f"The class name '{twice}' occurs more than once. Make it distinct.")


def _require_labels(labels: LabelMap, classes: int, what: str, beside: str) -> None:
    """Raise DataError for labels [P] outside 0..C-1."""
    if not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"{what} has label {low if low < 0 else high}; the class list has labels 0..{classes - 1}{beside}. "
            "Give the class list that the maps were made with."
        )
