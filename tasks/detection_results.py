"""Detections made elsewhere, and annotations alone to score them against: COCO's files without any image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.sample import Dataset, Outcome, Sample
from tasks.caption_files import read_json
from tasks.detection_scoring import MASKS, PX
from tasks.formats.coco_entries import Category, ImageEntry, is_integer
from tasks.formats.coco_instances import read_instances
from tasks.formats.coco_results import Detections, read_detections
from tasks.object_data import samples_of


def read_results(path: Path, categories: Sequence[Category], iou: str) -> list[Outcome]:
    """Read results before the split is known: an outcome for each image that has detections, in the file's numbers.

    Raises DataError naming the entry that is wrong; images that are not in the split are found when they are scored.
    """
    images = _images_in(read_json(path))
    index = {category.category_id: number for number, category in enumerate(categories)}
    found = read_detections(path, images, categories, iou)  # type: ignore[arg-type]
    return [Outcome(str(image.image_id), _prediction(image, index)) for image in found]


def read_object_references(path: Path) -> tuple[Dataset, list[Sample]]:
    """Read a file of instances as a data set of one split."""
    instances = read_instances(path, None)
    options = {"categories": [[category.category_id, category.name] for category in instances.categories]}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = Dataset(path.stem, path.parent, digest, "references", ("all",), "", "", "all", options)
    return data, samples_of(instances)


def _prediction(image: Detections, index: Mapping[int, int]) -> dict[str, list[list[Any]]]:
    labels = [index[category_id] for category_id in image.category_ids.tolist()]
    scores = image.scores.tolist()
    if image.masks is not None:
        return {MASKS: [list(row) for row in zip(labels, scores, image.masks, strict=True)]}
    assert image.boxes is not None
    boxes = image.boxes.tolist()
    return {PX: [[label, score, *box] for label, score, box in zip(labels, scores, boxes, strict=True)]}


def _images_in(rows: Any) -> list[ImageEntry]:
    """The images that the results name, as large as their masks say; what is broken is left to the reader of rows."""
    images: dict[int, ImageEntry] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and is_integer(row.get("image_id")) and row["image_id"] not in images:
            images[row["image_id"]] = ImageEntry(row["image_id"], Path(), *_mask_size(row))
    return list(images.values())


def _mask_size(row: Mapping[str, Any]) -> tuple[int, int]:
    mask = row.get("segmentation")
    size = mask.get("size") if isinstance(mask, dict) else None
    if isinstance(size, list) and len(size) == 2 and all(is_integer(side) and side > 0 for side in size):
        return size[1], size[0]
    return 1, 1
