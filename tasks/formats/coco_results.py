"""COCO's results format of detections: a JSON list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.formats.boxes import Boxes, box_array, require_no_row
from tasks.formats.coco_entries import Category, ImageEntry, is_integer, require_keys
from tasks.formats.json_files import json_kind_of
from tasks.formats.segmentations import Segmentation, check_segmentations

ResultKind: TypeAlias = Literal["bbox", "segm"]
_FORMATS = {
    "bbox": '[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]',
    "segm": '[{"image_id", "category_id", "segmentation": {"size", "counts"}, "score"}]',
}
_MEND = "Mend the results."
LARGEST_SCORE = 1e300
"""Scores are between this and its negative."""


@dataclass(frozen=True)
class Detections:
    """The n detections of one image, in the file's order, which decides between equal scores."""

    image_id: int | str
    entries: npt.NDArray[np.int64]  # [n] places in the file, from 0
    category_ids: npt.NDArray[np.int64]  # [n]
    scores: npt.NDArray[np.float64]  # [n]
    boxes: Boxes | None  # [n, 4] x, y, width, height in px, as given; None for masks
    masks: tuple[Segmentation, ...] | None  # [n] run lengths as given; None for boxes

    def __len__(self) -> int:
        return len(self.scores)


def detections_of(
    rows: Any, path: Path, images: Sequence[ImageEntry], categories: Sequence[Category], kind: ResultKind
) -> tuple[Detections, ...]:
    """Take results, `rows` as `path` holds them, for the images of a split, in their order.

    An image without an entry has no detection. For "segm" masks must be run lengths, and boxes beside them are left
    out; an empty list finds nothing, which is an answer. Images of VOC are called by names, and an image of width 0 has
    an unknown size. Raises DataError for unknown images (the first three) or categories, scores and boxes that are not
    finite, and masks of another size than the image's.
    """
    if not isinstance(rows, list):
        raise DataError(f"{path} holds {json_kind_of(rows)}, no list of detections; wanted {_FORMATS[kind]}.")
    key = {"bbox": "bbox", "segm": "segmentation"}[kind]
    id_kind = "id" if any(image.name for image in images) else "integer"
    wanted = {"image_id": id_kind, "category_id": "integer", key: "anything", "score": "anything"}
    for position, row in enumerate(rows):
        require_keys(row, wanted, f"{path}: entry {position}")
    index = _image_index(path, rows, images)

    def place(position: int) -> str:
        return f"{path}: entry {position} (image {rows[position]['image_id']})"

    known = {category.category_id for category in categories}
    category_ids = np.array([row["category_id"] for row in rows], np.int64)
    require_no_row(
        [row["category_id"] not in known for row in rows],
        lambda i: f"{place(i)} has the category {category_ids[i]}, which the ground truth does not have. {_MEND}",
    )
    scores = _scores(rows, place)
    boxes = _boxes(rows, place) if kind == "bbox" else None
    masks = _masks(rows, index, images, place) if kind == "segm" else None
    order = np.argsort(index, kind="stable")
    groups = np.split(order, np.searchsorted(index[order], np.arange(1, len(images)))) if images else []
    return tuple(
        Detections(
            image.name or image.image_id,
            group,
            category_ids[group],
            scores[group],
            None if boxes is None else boxes[group],
            None if masks is None else tuple(masks[i] for i in group),
        )
        for image, group in zip(images, groups, strict=True)
    )


def _image_index(path: Path, rows: Sequence[Any], images: Sequence[ImageEntry]) -> npt.NDArray[np.int64]:
    position_of = {image.sample_id: i for i, image in enumerate(images)}
    unknown = list(dict.fromkeys(row["image_id"] for row in rows if str(row["image_id"]) not in position_of))
    if unknown:
        raise DataError(
            f"{path} has detections for {len(unknown)} images that are not in the split (first: "
            f"{', '.join(map(str, unknown[:3]))}). Score them against the split that they were made for."
        )
    return np.array([position_of[str(row["image_id"])] for row in rows], np.int64)


def _scores(rows: Sequence[Any], place: Any) -> npt.NDArray[np.float64]:
    bad = [type(row["score"]) not in (int, float) or not -LARGEST_SCORE < row["score"] < LARGEST_SCORE for row in rows]
    require_no_row(
        bad, lambda i: f"{place(i)} has {rows[i]['score']!r:.60} as its 'score'; wanted a finite number. {_MEND}"
    )
    return np.array([row["score"] for row in rows], np.float64)


def _boxes(rows: Sequence[Any], place: Any) -> Boxes:
    boxes = box_array([row["bbox"] for row in rows], place)
    require_no_row(
        (boxes[:, 2:] < 0).any(axis=1),
        lambda i: f"{place(i)} has the box {boxes[i].tolist()} of negative size; wanted [x, y, width, height]. {_MEND}",
    )
    return boxes


def _masks(
    rows: Sequence[Any], index: npt.NDArray[np.int64], images: Sequence[ImageEntry], place: Any
) -> list[Segmentation]:
    masks = [row["segmentation"] for row in rows]
    require_no_row(
        [not isinstance(mask, dict) or not isinstance(mask.get("counts"), str) for mask in masks],
        lambda i: f"{place(i)} has a mask that is no compressed run lengths; encode it with pycocotools.mask.encode.",
    )
    sizes = [
        (images[i].width, images[i].height) if images[i].width else _own_size(masks[n]) for n, i in enumerate(index)
    ]
    check_segmentations(masks, sizes, place)
    return masks


def _own_size(mask: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height that a mask states, for images whose size is not known yet."""
    size = mask.get("size")
    if isinstance(size, list) and len(size) == 2 and all(is_integer(side) and side > 0 for side in size):
        return size[1], size[0]
    return 1, 1
