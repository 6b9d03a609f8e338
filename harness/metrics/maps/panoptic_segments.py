"""One image of panoptic segmentation: which predicted segments are right, as the COCO evaluation decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.stats.resampling import FloatArray, IntArray

VOID = 0
"""The segment id of pixels that belong to no segment."""


@dataclass(frozen=True)
class PanopticCategories:
    """The categories of a data set in the order of its file; raises DataError for repeated or incomplete ones."""

    entries: Sequence[Mapping[str, Any]]  # [K] id, name, isthing (1 for things, 0 for stuff)

    def __post_init__(self) -> None:
        for number, entry in enumerate(self.entries):
            for key in ("id", "name", "isthing"):
                if not isinstance(entry, Mapping) or key not in entry:
                    raise DataError(f"Panoptic category {number} (the first is 0) has no '{key}'. Give COCO's format.")
        for key in ("id", "name"):
            values = [entry[key] for entry in self.entries]
            if len(set(values)) < len(values):
                twice = next(value for value in values if values.count(value) > 1)
                raise DataError(f"The panoptic category {key} {twice!r} occurs more than once. Make it distinct.")

    @cached_property
    def numbers(self) -> Mapping[int, int]:
        """The number 0..K-1 of each category id."""
        return {entry["id"]: number for number, entry in enumerate(self.entries)}

    @cached_property
    def things(self) -> npt.NDArray[np.bool_]:
        """[K] whether a category is of things, not of stuff."""
        return np.array([entry["isthing"] == 1 for entry in self.entries], dtype=bool)


@dataclass(frozen=True)
class SegmentMap:
    """A panoptic map in COCO's format: the segment of each pixel, and what the segments are."""

    ids: npt.NDArray[np.integer[Any]]  # [H, W] segment ids, VOID for none
    segments_info: Sequence[Mapping[str, Any]]  # id, category_id; of the truth also iscrowd, and area where known


@dataclass(frozen=True)
class ImageSegments:
    """What one image adds to panoptic quality."""

    category: IntArray  # [TP] number 0..K-1 of each matched segment, by the id of the true one
    iou: FloatArray  # [TP] in (0.5, 1]
    wrong: IntArray  # [K, 2] false positives and false negatives


def segment_ids(rgb: npt.NDArray[np.uint8]) -> IntArray:
    """Decode the colours [H, W, 3] of COCO's panoptic PNG to segment ids [H, W]: red + 256 green + 256^2 blue."""
    colours = rgb.astype(np.int64)
    return np.asarray(colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2], dtype=np.int64)


def match_segments(
    truth: SegmentMap, predicted: SegmentMap, categories: PanopticCategories, image: str
) -> ImageSegments:
    """Match by IoU > 0.5 within a category (Kirillov et al. 2019, arXiv:1801.00868, section 4.1).

    As in COCO's panopticapi: pixels that are void in the truth are left out of a predicted segment; crowd segments are
    neither matched nor missed; an unmatched predicted segment is no mistake if more than half of it is void or in the
    crowd segment of its category (in the last one listed, where there are several). `image` is named in errors.
    Raises DataError for maps of other shapes, for segments without pixels or pixels without segment, and for
    categories that are unknown.
    """
    if truth.ids.shape != predicted.ids.shape or truth.ids.ndim != 2:
        raise DataError(
            f"{image}: the predicted map is {list(predicted.ids.shape)} (height, width), the truth "
            f"{list(truth.ids.shape)}. Predict a segment for each pixel of the image file."
        )
    true = _Segments.of(truth, categories, f"{image}: the truth")
    _require_areas(truth.segments_info, true, f"{image}: the truth")
    found = _Segments.of(predicted, categories, f"{image}: the prediction")
    shape = (len(true.area) + 1, len(found.area) + 1)
    overlap = np.bincount(true.place * shape[1] + found.place, minlength=shape[0] * shape[1]).reshape(shape)
    void, both = overlap[0, 1:], overlap[1:, 1:]
    union = true.area[:, None] + found.area - both - void
    same = (true.category[:, None] == found.category) & ~true.crowd[:, None] & (both > 0)
    iou = np.divide(both, union, out=np.zeros(both.shape), where=same)
    rows, columns = np.nonzero(iou > 0.5)
    missed, spurious = ~true.crowd, np.ones(len(found.area), dtype=bool)
    missed[rows] = spurious[columns] = False
    excused = void + true.crowd_overlap(both, found.category)
    spurious &= ~(excused / found.area > 0.5)
    number = len(categories.entries)
    wrong = [
        np.bincount(found.category[spurious], minlength=number),
        np.bincount(true.category[missed], minlength=number),
    ]
    return ImageSegments(true.category[rows], iou[rows, columns], np.stack(wrong, axis=1).astype(np.int64))


@dataclass(frozen=True)
class _Segments:
    """The segments of a map by ascending id, checked."""

    ids: IntArray  # [S]
    area: IntArray  # [S] pixels
    category: IntArray  # [S] 0..K-1
    crowd: npt.NDArray[np.bool_]  # [S]
    listed: IntArray  # [S] where in segments_info each stands
    place: IntArray  # [H * W] the segment of each pixel, from 1; 0 for void

    @classmethod
    def of(cls, segment_map: SegmentMap, categories: PanopticCategories, place: str) -> _Segments:
        infos = segment_map.segments_info
        if segment_map.ids.dtype.kind not in "iu":
            raise DataError(f"{place} is a map of {segment_map.ids.dtype}. Give segment ids: whole numbers.")
        for info in infos:
            _check(info, categories, place)
        ids = np.array([VOID, *(info["id"] for info in infos)], dtype=np.int64)
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        if (repeated := np.flatnonzero(np.diff(ids) == 0)).size:
            raise DataError(f"{place} lists segment {ids[repeated[0]]} more than once. Give each segment its own id.")
        pixels = segment_map.ids.ravel().astype(np.int64)
        at = np.minimum(np.searchsorted(ids, pixels), len(ids) - 1)
        if (unknown := pixels[ids[at] != pixels]).size:
            raise DataError(f"{place} has pixels of segment {unknown[0]}, which its segments_info does not list.")
        area = np.bincount(at, minlength=len(ids))[1:]
        sorted_infos = [infos[number - 1] for number in order[1:]]
        _require_pixels(sorted_infos, area, place)
        return cls(
            ids=ids[1:],
            area=area,
            category=np.array([categories.numbers[info["category_id"]] for info in sorted_infos], dtype=np.int64),
            crowd=np.array([info.get("iscrowd", 0) == 1 for info in sorted_infos], dtype=bool),
            listed=order[1:],
            place=at,
        )

    def crowd_overlap(self, both: IntArray, categories: IntArray) -> IntArray:
        """[P] pixels that each predicted segment shares with the last listed crowd segment of its category."""
        shared = np.zeros(len(categories), dtype=np.int64)
        for segment in sorted(np.flatnonzero(self.crowd), key=lambda segment: self.listed[segment]):
            of_category = categories == self.category[segment]
            shared[of_category] = both[segment, of_category]
        return shared


def _check(info: Any, categories: PanopticCategories, place: str) -> None:
    for key in ("id", "category_id"):
        if not isinstance(info, Mapping) or not isinstance(info.get(key), int):
            raise DataError(f"{place} has the segment {info!r} without a whole number for '{key}'. Give COCO's format.")
    if not VOID < info["id"] < 1 << 31:
        raise DataError(f"{place} has a segment with id {info['id']}. Ids must be above 0, which marks void pixels.")
    if info["category_id"] not in categories.numbers:
        raise DataError(f"{place}: segment {info['id']} has the unknown category {info['category_id']}.")
    if info.get("iscrowd", 0) not in (0, 1):
        raise DataError(f"{place}: segment {info['id']} has iscrowd {info['iscrowd']!r}. It must be 0 or 1.")


def _require_pixels(infos: Sequence[Mapping[str, Any]], area: IntArray, place: str) -> None:
    for info, pixels in zip(infos, area.tolist(), strict=True):
        if not pixels:
            raise DataError(f"{place} lists segment {info['id']}, which has no pixels. Leave it out.")


def _require_areas(infos: Sequence[Mapping[str, Any]], segments: _Segments, place: str) -> None:
    """Raise DataError where an area that is given is not that of the map; panopticapi would believe the list."""
    pixels = dict(zip(segments.ids.tolist(), segments.area.tolist(), strict=True))
    for info in infos:
        if info.get("area", pixels[info["id"]]) != pixels[info["id"]]:
            raise DataError(
                f"{place}: segment {info['id']} has {pixels[info['id']]} pixels, and its area is given as "
                f"{info['area']}. Use the map and the list that belong together."
            )
