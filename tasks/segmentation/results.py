"""Label maps made elsewhere, and panoptic annotations alone to score them against."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.sample import Dataset, Outcome, Sample
from tasks.formats.coco_entries import Category, read_image_entries
from tasks.formats.coco_panoptic import (
    Panoptic,
    crowd_notes,
    join_maps,
    read_annotations,
    read_panoptic_categories,
    read_segment_rows,
)
from tasks.formats.file_names import require_files
from tasks.formats.image_files import image_files_in
from tasks.formats.json_files import read_json
from tasks.segmentation.data import map_samples_of
from tasks.segmentation.scoring import LABEL_IMAGE, SEGMENTS, SEGMENTS_PNG


def read_map_results(path: Path, categories: Sequence[Category] | None) -> list[Outcome]:
    """Read a folder of label images, or COCO's panoptic results: a JSON file with a folder of PNG maps of its name.

    Raises DataError for a folder without images and for what is broken in the JSON; which images there should be is
    checked when they are scored.
    """
    if path.is_dir():
        files = image_files_in(path)
        if not files:
            raise DataError(f"{path} has no label image. Give a folder of label images, named by image.")
        return [Outcome(file.stem, {LABEL_IMAGE: str(file)}) for file in files]
    if path.suffix.lower() != ".json":
        raise DataError(
            f"{path} is neither a folder of label images nor a JSON file of COCO's panoptic results. Give one of them."
        )
    if categories is None:
        raise UsageError(f"{path}: panoptic results need data with panoptic truth. Give label images instead.")
    return _read_panoptic(path, categories)


def read_map_references(path: Path) -> tuple[Dataset, list[Sample]]:
    """Read panoptic annotations with the folder of PNG maps of their name as a data set of one split."""
    if path.suffix.lower() != ".json":
        raise UsageError(
            f"--references {path}: wanted COCO's panoptic JSON beside its folder of PNG maps. Label images are scored "
            "against data, with --data."
        )
    panoptic = read_panoptic_alone(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    options = {"references": str(path)}
    data = Dataset(
        path.stem, path.parent, digest, "references", ("all",), None, None, "all", options, notes=panoptic.notes
    )
    return data, map_samples_of(panoptic)


def read_panoptic_alone(path: Path) -> Panoptic:
    """Read panoptic annotations without looking for the images."""
    content = read_json(path)
    images = read_image_entries(content, path, None)
    categories = read_panoptic_categories(content, path)
    known = frozenset(category.category_id for category in categories)
    rows = read_annotations(content, path)
    segments = read_segment_rows(rows, known, path)
    return Panoptic(join_maps(images, segments, _maps_of(path), path), categories, (path,), crowd_notes(rows))


def _read_panoptic(path: Path, categories: Sequence[Category]) -> list[Outcome]:
    maps = _maps_of(path)
    known = frozenset(category.category_id for category in categories)
    segments = read_segment_rows(read_annotations(read_json(path), path), known, path)
    if not segments:
        raise DataError(f"{path} has no annotation: there is nothing to score. Write it again.")
    pngs = require_files([maps / name for name, _ in segments.values()], path, maps)
    return [
        Outcome(
            str(image_id),
            {SEGMENTS_PNG: str(png), SEGMENTS: [[s.segment_id, s.category_id] for s in found]},
        )
        for (image_id, (_, found)), png in zip(segments.items(), pngs, strict=True)
    ]


def _maps_of(path: Path) -> Path:
    folder = path.with_suffix("")
    if not folder.is_dir():
        raise DataError(f"No folder {folder} of panoptic maps. Put the PNG files that {path.name} names there.")
    return folder
