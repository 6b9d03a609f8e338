"""COCO's instance annotations: boxes, masks and categories of each image, read and checked.

Boxes and masks refer to the upright image (`harness.inputs.images.upright_rgb`); `require_image_sizes` checks that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    segmentations: tuple[Segmentation | None, ...]  # [n] as given

    def __len__(self) -> int:
        return len(self.annotation_ids)


@dataclass(frozen=True)
class Instances:
    """The images of a split with their objects, `objects[i]` being those of `images[i]`.

    `crowd_label` is an image's label for a category of which it shows crowds only: 1 in COCO, where a crowd of people
    does show people; -1, unknown, in VOC, where such objects are those marked difficult.
    """

    images: tuple[ImageEntry, ...]
    objects: tuple[ImageObjects, ...]
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
    empty = len(rows) - len(kept)
    known = Note(f"{empty} of COCO's own boxes have no height and are left out", None, empty, len(rows))
    return Instances(
        images=entries,
        objects=group_objects(kept, entries, categories, annotations),
        categories=categories,
        sources=(annotations,),
        notes=(*((known,) if empty else ()), *plain),
    )


def group_objects(
    rows: Sequence[dict[str, Any]], images: Sequence[ImageEntry], categories: Sequence[Category], path: Path
) -> tuple[ImageObjects, ...]:
    """Check annotation rows and group them by image; their keys and ids have been checked."""

    def place(position: int) -> str:
        row = rows[position]
        return f"{path}: the annotation {row['id']} of image {names.get(row['image_id'], row['image_id'])}"

    names = {image.image_id: image.sample_id for image in images}
    image_index = _positions(rows, "image_id", {image.image_id: i for i, image in enumerate(images)}, place)
    category_index = _positions(rows, "category_id", {c.category_id: i for i, c in enumerate(categories)}, place)
    size_of = [(image.width, image.height) for image in images]
    sizes = [size_of[index] for index in image_index]
    stated = box_array([row["bbox"] for row in rows], place)
    boxes = clip_boxes(stated, np.array(sizes, np.float64).reshape(-1, 2), place)
    masks = [row.get("segmentation") or None for row in rows]
    areas = _areas(rows, masks, check_segmentations(masks, sizes, place), sizes, place)
    ids = np.array([row["id"] for row in rows], np.int64)
    crowd = np.array([row["iscrowd"] for row in rows], np.bool_)
    order = np.argsort(image_index, kind="stable")
    groups = np.split(order, np.searchsorted(image_index[order], np.arange(1, len(images))))
    return tuple(
        ImageObjects(
            ids[group], category_index[group], boxes[group], stated[group], areas[group], crowd[group],
            tuple(masks[i] for i in group),
        )
        for group in groups
    )  # fmt: skip


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
    rows: Sequence[dict[str, Any]], key: str, index: dict[int, int], place: Callable[[int], str]
) -> npt.NDArray[np.int64]:
    found = [index.get(row[key], -1) for row in rows]
    if -1 in found:
        position = found.index(-1)
        kind = {"image_id": "images", "category_id": "categories"}[key]
        raise DataError(
            f"{place(position)} has {rows[position][key]} as its '{key}', which is not among the file's {kind}. {MEND}"
        )
    return np.array(found, np.int64)


def _areas(
    rows: Sequence[dict[str, Any]],
    masks: Sequence[Segmentation | None],
    drawn: npt.NDArray[np.float64],
    sizes: Sequence[tuple[int, int]],
    place: Callable[[int], str],
) -> npt.NDArray[np.float64]:
    """Take stated areas; where none is stated, the mask's: never the box's, which would move AP by size."""
    areas = np.empty(len(rows), np.float64)
    for position, (row, mask) in enumerate(zip(rows, masks, strict=True)):
        area = row.get("area")
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


def _is_known_empty(row: dict[str, Any]) -> bool:
    return (row["image_id"], row["id"]) in KNOWN_EMPTY and isinstance(row["bbox"], list) and 0 in row["bbox"][2:]
