"""COCO's instance annotations: boxes, masks and categories of each image, read and checked.

Boxes and masks refer to the upright image (`harness.inputs.images.upright_rgb`); `require_image_sizes` checks that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.sample import Note
from harness.storage.content import Contents
from tasks.formats.boxes import Boxes, box_array, clip_boxes
from tasks.formats.coco_entries import (
    MEND,
    Category,
    ImageEntry,
    read_categories,
    read_entries,
    read_image_entries,
    require_unique,
    with_crowd_flags,
)
from tasks.formats.digests import NOWHERE, digest_of_files
from tasks.formats.json_files import read_json
from tasks.formats.segmentations import Segmentation, check_segmentations, mask_area

KNOWN_EMPTY = frozenset({(200365, 918), (550395, 2206849)})
"""(image id, annotation id) of the two boxes of no height in COCO's own train2017 and train2014
(cocodataset/cocoapi issue 355): left out and noted, since nobody can mend that file."""
_KEYS = {"id": "integer", "image_id": "integer", "category_id": "integer", "bbox": "anything"}


@dataclass(frozen=True)
class ImageObjects:
    """The n annotations of one image, in the file's order."""

    annotation_ids: npt.NDArray[np.int64]  # [n]
    category_index: npt.NDArray[np.int64]  # [n], into Instances.categories
    boxes: Boxes  # [n, 4] x, y, width, height in px, clipped to the image
    stated_boxes: Boxes  # [n, 4] as the file has them: what scores are computed against
    areas: npt.NDArray[np.float64]  # [n] px², of the mask where the file has masks
    iscrowd: npt.NDArray[np.bool_]  # [n]
    segmentations: Sequence[Segmentation | None]  # [n] as given

    def __len__(self) -> int:
        return len(self.annotation_ids)


@dataclass(frozen=True)
class Instances:
    """The images of a split with their objects, `objects[i]` being those of `images[i]`.

    `crowd_label` is an image's label for a category of which it shows crowds only: 1 in COCO, where a crowd of people
    does show people; -1, unknown, in VOC, where such objects are those marked difficult.
    """

    images: Sequence[ImageEntry]
    objects: Sequence[ImageObjects]
    categories: tuple[Category, ...]
    sources: tuple[Path, ...]
    notes: tuple[Note, ...] = ()
    crowd_label: int = 1


def read_instances(annotations: Path, images: Path | None) -> Instances:
    """Read one split in the order of its `images`; `images` None means that pixels are not looked for.

    Raises DataError naming the file and the annotation for whatever is wrong.
    """
    content = read_json(annotations)
    entries = read_image_entries(content, annotations, images)
    categories = read_categories(content, annotations)
    rows = read_entries(content, "annotations", _KEYS, annotations)
    rows, plain = with_crowd_flags(rows, lambda i: f"{annotations}: annotations[{i}]")
    require_unique((row["id"] for row in rows), f"{annotations}: annotations[{{}}] repeats the id {{}}. {MEND}")
    kept = [row for row in rows if not _is_known_empty(row)]
    return Instances(
        images=entries,
        objects=group_objects(kept, entries, categories, annotations),
        categories=categories,
        sources=(annotations,),
        notes=(*empty_notes(len(rows) - len(kept), len(rows)), *plain),
    )


def empty_notes(empty: int, total: int) -> tuple[Note, ...]:
    """Say how many of COCO's own boxes are left out."""
    known = Note(f"{empty} of COCO's own boxes have no height and are left out", None, empty, total)
    return (known,) if empty else ()


def group_objects(
    rows: Sequence[dict[str, Any]], images: Sequence[ImageEntry], categories: Sequence[Category], path: Path
) -> tuple[ImageObjects, ...]:
    """Check annotation rows and group them by image; their keys and ids have been checked."""
    masks = [row.get("segmentation") or None for row in rows]
    columns = {name: [row[key] for row in rows] for name, key in _COLUMNS.items()}
    stated = StatedObjects(**columns, areas=[row.get("area") for row in rows], masks=masks)
    found = ObjectChecks(images, categories, path).checked(stated)
    order = np.argsort(found.image_index, kind="stable")
    groups = np.split(order, np.searchsorted(found.image_index[order], np.arange(1, len(images))))
    return tuple(
        ImageObjects(
            found.ids[group], found.category_index[group], found.boxes[group], found.stated_boxes[group],
            found.areas[group], found.iscrowd[group], tuple(masks[i] for i in group),
        )
        for group in groups
    )  # fmt: skip


@dataclass(frozen=True)
class StatedObjects:
    """Annotations of many images as the file states them, in its order; None where it states none."""

    ids: list[int]
    image_ids: list[int]
    category_ids: list[int]
    boxes: list[Any]
    iscrowd: list[int]
    areas: list[Any]
    masks: list[Segmentation | None]


_COLUMNS = {
    "ids": "id", "image_ids": "image_id", "category_ids": "category_id", "boxes": "bbox", "iscrowd": "iscrowd"
}  # fmt: skip


@dataclass(frozen=True)
class ObjectColumns:
    """Checked annotations of many images, in the file's order; fields as in `ImageObjects`."""

    image_index: npt.NDArray[np.int64]  # [n], into Instances.images
    ids: npt.NDArray[np.int64]
    category_index: npt.NDArray[np.int64]
    boxes: Boxes
    stated_boxes: Boxes
    areas: npt.NDArray[np.float64]
    iscrowd: npt.NDArray[np.bool_]


class ObjectChecks:
    """Checks annotations against the images and categories of their file."""

    def __init__(self, images: Sequence[ImageEntry], categories: Sequence[Category], path: Path) -> None:
        """Number the images and categories, in their order."""
        self._images, self._path = images, path
        self._image_index = {image.image_id: i for i, image in enumerate(images)}
        self._category_index = {category.category_id: i for i, category in enumerate(categories)}
        self._sizes = [(image.width, image.height) for image in images]
        self._sides = np.array(self._sizes, np.float64).reshape(-1, 2)

    def checked(self, stated: StatedObjects) -> ObjectColumns:
        """Turn annotations, whose keys and ids have been checked, to arrays; raises DataError naming what is wrong."""

        def place(position: int) -> str:
            called = self._called(stated.image_ids[position])
            return f"{self._path}: the annotation {stated.ids[position]} of image {called}"

        image_index = _positions(stated.image_ids, "image_id", self._image_index, place)
        category_index = _positions(stated.category_ids, "category_id", self._category_index, place)
        sizes = [self._sizes[index] for index in image_index.tolist()]
        boxes = box_array(stated.boxes, place)
        clipped = clip_boxes(boxes, self._sides[image_index], place)
        areas = _areas(stated, check_segmentations(stated.masks, sizes, place), sizes, place)
        ids, crowd = np.array(stated.ids, np.int64), np.array(stated.iscrowd, np.bool_)
        return ObjectColumns(image_index, ids, category_index, clipped, boxes, areas, crowd)

    def _called(self, image_id: int) -> str | int:
        index = self._image_index.get(image_id)
        return image_id if index is None else self._images[index].sample_id


def image_labels(instances: Instances) -> npt.NDArray[np.int8]:
    """Multi-label targets `[N images, C categories]`: 1 shown, 0 not shown, -1 unknown (see `Instances`)."""
    labels = np.zeros((len(instances.images), len(instances.categories)), np.int8)
    for row, objects in zip(labels, instances.objects, strict=True):
        row[objects.category_index[objects.iscrowd]] = instances.crowd_label
        row[objects.category_index[~objects.iscrowd]] = 1
    return labels


def digest_of_instances(instances: Instances, contents: Contents = NOWHERE) -> str:
    """Digest annotation files by their bytes, and the names and bytes of the images."""
    images = ((image.path.name, image.path) for image in instances.images)
    return digest_of_files((), instances.sources, images, contents)


def _positions(
    ids: Sequence[int], key: str, index: Mapping[int, int], place: Callable[[int], str]
) -> npt.NDArray[np.int64]:
    found = list(map(index.get, ids, repeat(-1)))
    if -1 in found:
        position = found.index(-1)
        kind = {"image_id": "images", "category_id": "categories"}[key]
        raise DataError(
            f"{place(position)} has {ids[position]} as its '{key}', which is not among the file's {kind}. {MEND}"
        )
    return np.array(found, np.int64)


def _areas(
    stated: StatedObjects,
    drawn: npt.NDArray[np.float64],
    sizes: Sequence[tuple[int, int]],
    place: Callable[[int], str],
) -> npt.NDArray[np.float64]:
    """Take stated areas; where none is stated, the mask's: never the box's, which would move AP by size."""
    if set(map(type, stated.areas)) <= {int, float} and all(0 <= area < 1e18 for area in stated.areas):
        return np.array(stated.areas, np.float64)
    areas = np.empty(len(stated.areas), np.float64)
    for position, (area, mask) in enumerate(zip(stated.areas, stated.masks, strict=True)):
        if area is None and mask is None:
            raise DataError(
                f"{place(position)} has neither 'area' nor 'segmentation', and AP by size needs one. "
                "State the area (width x height if there are only boxes)."
            )
        if area is None and mask is not None:
            area = mask_area(mask, *sizes[position]) if math.isnan(drawn[position]) else drawn[position]
        if isinstance(area, bool) or not isinstance(area, (int, float)) or not 0 <= area < 1e18:
            raise DataError(f"{place(position)} has {area!r:.60} as its 'area'; wanted px², at least 0. {MEND}")
        areas[position] = area
    return areas


def _is_known_empty(row: Mapping[str, Any]) -> bool:
    return (row["image_id"], row["id"]) in KNOWN_EMPTY and isinstance(row["bbox"], list) and 0 in row["bbox"][2:]
