"""Detections in COCO's results format, checked and turned into columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from harness.errors import DataError
from harness.metrics.boxes.masks import Rle, compressed_rles
from harness.metrics.boxes.truth import DetectionTruth, is_number, require_box, require_known, require_truth_keys
from harness.stats.resampling import FloatArray, IntArray

Iou = Literal["bbox", "segm"]
"""What is compared: boxes or masks."""

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class DetectionColumns:
    """D detections in the order given, with images and categories numbered as in `TruthColumns`."""

    image: IntArray  # [D] 0..N-1
    category: IntArray  # [D] 0..K-1
    score: FloatArray  # [D] finite, higher is surer
    area: FloatArray  # [D] in pixels: of the box where there is one, else of the mask, as pycocotools has it
    boxes: FloatArray | None  # [D, 4] x, y, width, height in pixels
    rles: tuple[Rle, ...] | None  # [D] compressed; only where masks are compared

    def __len__(self) -> int:
        return len(self.image)

    def where(self, kept: IntArray) -> DetectionColumns:
        """Take the detections at these places [E], ascending."""
        return DetectionColumns(
            self.image[kept],
            self.category[kept],
            self.score[kept],
            self.area[kept],
            None if self.boxes is None else self.boxes[kept],
            None if self.rles is None else tuple(self.rles[i] for i in kept),
        )


def box_columns(image: IntArray, category: IntArray, score: FloatArray, boxes: FloatArray) -> DetectionColumns:
    """Make columns of boxes [D, 4] in pixels that have been checked, with numbers of images and categories [D]."""
    return DetectionColumns(image, category, score, boxes[:, 2] * boxes[:, 3], boxes, None)


def detection_columns(
    truth: DetectionTruth, detections: Sequence[Mapping[str, Any]], iou: Iou, source: str
) -> DetectionColumns:
    """Check detections; raises DataError naming the number of the first entry that is wrong, from 0.

    An entry has image_id, category_id, score, and bbox for `iou` "bbox" or segmentation for "segm". With "segm" all
    entries or none may have a bbox too; where they do, its area decides what is small, medium or large.
    """
    entries = _Entries(truth, detections, iou, source)
    image, category, score = entries.read(entries.plain)
    with_boxes = iou == "bbox" or entries.read(entries.have_boxes)
    boxes = entries.read(entries.boxes) if with_boxes else None
    if iou == "bbox":
        assert boxes is not None
        return box_columns(image, category, score, boxes)
    segmentations = entries.read(lambda: [entry["segmentation"] for entry in detections])
    sizes = truth.sizes[image]
    rles = compressed_rles(segmentations, sizes, entries.place)
    area = boxes[:, 2] * boxes[:, 3] if boxes is not None else _areas(rles)
    return DetectionColumns(image, category, score, area, boxes, tuple(rles))


def _areas(rles: list[Rle]) -> FloatArray:
    from hotcoco import mask

    return np.asarray(mask.area(rles), dtype=np.float64) if rles else np.zeros(0)


@dataclass(frozen=True)
class _Entries:
    """Reads whole columns at once and looks at entries one by one only to say which one is wrong."""

    truth: DetectionTruth
    detections: Sequence[Mapping[str, Any]]
    iou: Iou
    source: str

    def read(self, column: Callable[[], _Read]) -> _Read:
        try:
            return column()
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            for number, entry in enumerate(self.detections):
                self._check(entry, self.place(number))
            raise

    def place(self, number: int) -> str:
        return f"{self.source}: entry {number} (the first is 0)"

    def plain(self) -> tuple[IntArray, IntArray, FloatArray]:
        images, categories = self.truth.image_numbers, self.truth.category_numbers
        image = np.array([images[entry["image_id"]] for entry in self.detections], dtype=np.int64)
        category = np.array([categories[entry["category_id"]] for entry in self.detections], dtype=np.int64)
        scores = [entry["score"] for entry in self.detections]
        if bool in set(map(type, scores)):
            raise ValueError("NumPy would make a number of true")
        return image, category, _finite(scores)

    def have_boxes(self) -> bool:
        present = [bool(len(entry.get("bbox", ()))) for entry in self.detections]
        if present and any(present) != all(present):
            odd = present.index(not present[0])
            raise DataError(
                f"{self.source}: entry 0 has {'a' if present[0] else 'no'} bbox and entry {odd} has "
                f"{'one' if present[odd] else 'none'}. COCO takes the area from the boxes where entry 0 has one, so "
                "give all entries a bbox or none."
            )
        return bool(present) and present[0]

    def boxes(self) -> FloatArray:
        boxes = _finite([entry["bbox"] for entry in self.detections])
        if not len(boxes):
            return np.zeros((0, 4))
        if boxes.ndim != 2 or boxes.shape[1] != 4 or (boxes[:, 2:] < 0).any():
            raise ValueError("boxes")
        return boxes

    def _check(self, entry: Any, place: str) -> None:
        measured = "bbox" if self.iou == "bbox" else "segmentation"
        require_truth_keys(entry, ("image_id", "category_id", "score", measured), place)
        require_known(entry["image_id"], self.truth.image_numbers, f"{place}: image_id")
        require_known(entry["category_id"], self.truth.category_numbers, f"{place}: category_id")
        if not is_number(entry["score"]):
            raise DataError(f"{place} has score {entry['score']!r}. It must be a finite number.")
        if self.iou == "bbox" or "bbox" in entry:
            require_box(entry["bbox"], place)


def _finite(values: list[Any]) -> FloatArray:
    """Turn numbers to an array; raises ValueError where NumPy would make numbers of words, or none are made."""
    array = np.array(values)
    if len(values) and (array.dtype.kind not in "fiu" or not np.isfinite(array).all()):
        raise ValueError("not all are finite numbers")
    return array.astype(np.float64)
