"""Detections made elsewhere, and annotations alone to score them against: COCO's files without any image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.sample import Dataset, Outcome, Sample
from tasks.detection.box_outcomes import PX, BoxOutcomes
from tasks.detection.data import image_notes, object_samples_of
from tasks.detection.scoring import ENTRIES, MASKS
from tasks.formats.coco_box_columns import BoxColumns, read_box_columns
from tasks.formats.coco_entries import Category, ImageEntry, is_integer
from tasks.formats.coco_instances import read_instances
from tasks.formats.coco_results import Detections, detections_of
from tasks.formats.json_files import read_json


def read_results(path: Path, categories: Sequence[Category], iou: str, *, named: bool = False) -> Sequence[Outcome]:
    """Read results before the split is known: an outcome for each image that has detections, in the file's numbers.

    `named` allows names as ids, as VOC's images have them. Raises DataError naming the entry that is wrong; images that
    are not in the split are found when they are scored.
    """
    if iou == "bbox" and (columns := read_box_columns(path, named=named)) is not None:
        outcomes = _box_outcomes(columns, categories)
        if outcomes is not None:
            return outcomes
    rows = read_json(path)
    images = _images_in(rows, named=named)
    index = {category.category_id: number for number, category in enumerate(categories)}
    found = detections_of(rows, path, images, categories, iou)  # type: ignore[arg-type]
    return [Outcome(str(image.image_id), _prediction(image, index)) for image in found]


def read_object_references(path: Path) -> tuple[Dataset, list[Sample]]:
    """Read a file of instances as a data set of one split."""
    instances = read_instances(path, None)
    options = {"categories": [[category.category_id, category.name] for category in instances.categories]}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    notes = (*instances.notes, *image_notes(None, instances))
    data = Dataset(path.stem, path.parent, digest, "references", ("all",), None, None, "all", options, notes=notes)
    return data, object_samples_of(instances)


def _box_outcomes(columns: BoxColumns, categories: Sequence[Category]) -> BoxOutcomes | None:
    """Sort detections by image; None where a category is unknown."""
    ids = np.array([category.category_id for category in categories], np.int64)
    by_id = np.argsort(ids)
    place = np.searchsorted(ids[by_id], columns.category_ids).clip(max=len(ids) - 1)
    label = by_id[place]
    if not np.array_equal(ids[label], columns.category_ids):
        return None
    table = np.column_stack([label, columns.scores, columns.boxes])
    order = np.argsort(columns.image, kind="stable")
    ends = np.cumsum(np.bincount(columns.image, minlength=len(columns.image_ids)))
    return BoxOutcomes(columns.image_ids, np.split(table[order], ends[:-1]) if len(ends) else [])


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
