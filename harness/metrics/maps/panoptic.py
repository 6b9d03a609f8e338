"""Panoptic quality PQ = SQ x RQ per category, averaged over categories (Kirillov et al. 2019, arXiv:1801.00868).

The numbers are those of COCO's panopticapi run in one process, bit for bit: IoUs are added in the order of images and
of true segments, and categories in the order of the file. A category counts in a mean if it has a true or a predicted
segment in the images at hand that is not ignored; in a resample these are the resample's images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.metrics.maps.panoptic_segments import (
    ImageSegments,
    PanopticCategories,
    SegmentMap,
    match_segments,
    segment_ids,
)
from harness.protocols import Statistics
from harness.stats.resampling import FloatArray, IntArray, weighted_sums

__all__ = [
    "ImageSegments",
    "PanopticCategories",
    "PanopticCounts",
    "SegmentMap",
    "match_segments",
    "panoptic_statistics",
    "per_class_pq",
    "segment_ids",
]

Quality = Literal["PQ", "SQ", "RQ"]


@dataclass(frozen=True)
class PanopticCounts:
    """What N images add to panoptic quality; raises DataError where there are none."""

    categories: PanopticCategories
    images: tuple[ImageSegments, ...]

    def __post_init__(self) -> None:
        if not self.images:
            raise DataError("There are no panoptic maps, so there is nothing to score. Check the split.")

    @classmethod
    def stack(cls, categories: PanopticCategories, images: Iterable[ImageSegments]) -> PanopticCounts:
        """Put together the matches of single images, in the order of samples."""
        return cls(categories, tuple(images))

    @cached_property
    def table(self) -> FloatArray:
        """[N, K, 4] summed IoU, true positives, false positives, false negatives of each image and category."""
        table = np.zeros((len(self.images), len(self.categories.entries), 4))
        for row, image in zip(table, self.images, strict=True):
            row[:, :2] = _found(image.category, image.iou, len(row))
            row[:, 2:] = image.wrong
        return table

    @cached_property
    def total(self) -> FloatArray:
        """[K, 4] the same for all images, added one by one."""
        category = np.concatenate([image.category for image in self.images])
        iou = np.concatenate([image.iou for image in self.images])
        found = _found(category, iou, len(self.categories.entries))
        return np.concatenate([found, sum(image.wrong for image in self.images)], axis=1)


def panoptic_statistics(counts: PanopticCounts) -> dict[str, Statistics | None]:
    """`PQ`, `SQ`, `RQ`, `PQ-Th`, `PQ-St`, each 0..1 and higher is better; None where nothing is to measure."""
    things = counts.categories.things
    every = np.ones_like(things)
    chosen: dict[str, tuple[Quality, npt.NDArray[np.bool_]]] = {
        "PQ": ("PQ", every),
        "SQ": ("SQ", every),
        "RQ": ("RQ", every),
        "PQ-Th": ("PQ", things),
        "PQ-St": ("PQ", ~things),
    }
    scores = {name: PanopticQuality(counts, quality, categories) for name, (quality, categories) in chosen.items()}
    return {name: None if np.isnan(score.value) else score for name, score in scores.items()}


def per_class_pq(counts: PanopticCounts) -> dict[str, Statistics | None]:
    """PQ of each category as `per-class:NAME`; None for a category without any segment to count."""
    scores = {
        f"per-class:{entry['name']}": PanopticQuality(counts, "PQ", np.arange(len(counts.categories.entries)) == number)
        for number, entry in enumerate(counts.categories.entries)
    }
    return {name: None if np.isnan(score.value) else score for name, score in scores.items()}


@dataclass(frozen=True)
class PanopticQuality:
    """One quality averaged over some categories."""

    counts: PanopticCounts
    quality: Quality
    categories: npt.NDArray[np.bool_]  # [K] those that are averaged over

    @cached_property
    def value(self) -> float:
        """The quality over all images, 0..1; NaN where there is nothing to measure."""
        return float(self._of_sums(self.counts.total[None, self.categories])[0])

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] the quality of each image alone, NaN where there is nothing to measure in it."""
        return self._of_sums(self.counts.table[:, self.categories])

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] qualities, 0..1, or NaN where there is nothing to measure."""
        table = self.counts.table[:, self.categories]
        return self._of_sums(weighted_sums(counts, table.reshape(len(table), -1)).reshape(-1, *table.shape[1:]))

    def _of_sums(self, sums: FloatArray) -> FloatArray:
        """[R, K', 4] -> [R]."""
        iou, found, spurious, missed = np.moveaxis(sums, 2, 0)
        weight = found + 0.5 * spurious + 0.5 * missed
        parts = found if self.quality == "RQ" else iou
        wholes = found if self.quality == "SQ" else weight
        ratios = np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)
        measured = (weight > 0).sum(axis=1)
        means = np.full(len(sums), np.nan)
        if sums.shape[1]:
            # Added one by one: NumPy's own sum pairs terms, and panopticapi's does not.
            np.divide(np.cumsum(ratios, axis=1)[:, -1], measured, out=means, where=measured > 0)
        return means


def _found(category: IntArray, iou: FloatArray, categories: int) -> FloatArray:
    """[K, 2] summed IoU and number of matches of each category; `bincount` adds in the order given."""
    sums = np.zeros((categories, 2))
    sums[:, 0] = np.bincount(category, weights=iou, minlength=categories)
    sums[:, 1] = np.bincount(category, minlength=categories)
    return sums
