"""Detections made elsewhere, and annotations alone to score them against: COCO's files without any image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.sample import Dataset, Outcome, Sample
from tasks.detection.data import image_notes, object_samples_of
from tasks.detection.scoring import ENTRIES, MASKS, PX
from tasks.formats.coco_entries import Category, ImageEntry, is_integer
from tasks.formats.coco_instances import read_instances
from tasks.formats.coco_results import Detections, read_detections
from tasks.formats.json_files import read_json


def read_results(path: Path, categories: Sequence[Category], iou: str, *, named: bool = False) -> list[Outcome]:
    """Read results before the split is known: an outcome for each image that has detections, in the file's numbers.

    `named` allows names as ids, as VOC's images have them. Raises DataError naming the entry that is wrong; images that
    are not in the split are found when they are scored.
    """
    images = _images_in(read_json(path), named=named)
    index = {category.category_id: number for number, category in enumerate(categories)}
    found = read_detections(path, images, categories, iou)  # type: ignore[arg-type]
    return [Outcome(str(image.image_id), _prediction(image, index)) for image in found]


def read_object_references(path: Path) -> tuple[Dataset, list[Sample]]:
    """Read a file of instances as a data set of one split."""
    instances = read_instances(path, None)
    options = {"categories": [[category.category_id, category.name] for category in instances.categories]}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    notes = (*instances.notes, *image_notes(None, instances))
    data = Dataset(path.stem, path.parent, digest, "references", ("all",), None, None, "all", options, notes=notes)
    return data, object_samples_of(instances)


def _prediction(image: Detections, index: Mapping[int, int]) -> dict[str, list[Any]]:
    labels = [index[category_id] for category_id in image.category_ids.tolist()]
    scores = image.scores.tolist()
    if image.masks is not None:
        rows = [list(row) for row in zip(labels, scores, image.masks, strict=True)]
        return {MASKS: rows, ENTRIES: image.entries.tolist()}
    assert image.boxes is not None
    boxes = image.boxes.tolist()
    return {PX: [[label, score, *box] for label, score, box in zip(labels, scores, boxes, strict=True)]}


def _images_in(rows: Any, *, named: bool) -> list[ImageEntry]:
    """The images that the results name, of sizes not known yet; what is broken is left to the reader of rows."""
    ids = [row.get("image_id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if not named:
        numbers = dict.fromkeys(key for key in ids if isinstance(key, int) and is_integer(key))
        return [ImageEntry(number, Path(), 0, 0) for number in numbers]
    names = dict.fromkeys(str(key) for key in ids if is_integer(key) or isinstance(key, str))
    return [ImageEntry(number, Path(), 0, 0, name) for number, name in enumerate(names, start=1) if name]
