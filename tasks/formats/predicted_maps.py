"""Predicted label images made elsewhere: a folder of them, named by sample or by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError
from harness.sample import Note
from tasks.formats.id_readings import IdReading, ids_themselves, image_stems, one_reading, reading_note
from tasks.formats.image_files import image_files_in
from tasks.formats.sample_ids import require_same_ids


def read_predicted_maps(folder: Path, images: Mapping[str, Path]) -> dict[str, Path]:
    """Find the predicted label image of each sample, all by ids or all by image names, in the order of `images`.

    `images` gives the image of each sample id. Raises DataError naming the first three that are unknown, missing or
    there twice, and where names can be read as ids and as image names with different results. `read_label_image` reads
    them.
    """
    files = _label_images(folder)
    reading = _reading(files, images)
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(reading.sample(path.stem) or path.name, []).append(path)
    require_same_ids(folder, [key for key, paths in found.items() for _ in paths], list(images))
    return {sample_id: found[sample_id][0] for sample_id in images}


def naming_notes(folder: Path, images: Mapping[str, Path]) -> tuple[Note, ...]:
    """Say so where label images are named by image files, and these are not the ids."""
    files = _label_images(folder)
    stems = [path.stem for path in files]
    return reading_note(stems, _reading(files, images), ids_themselves(list(images)))


def _label_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"No folder {folder}. Give a folder of label images, named by image id or image file.")
    return image_files_in(folder)


def _reading(files: list[Path], images: Mapping[str, Path]) -> IdReading:
    try:
        return one_reading([path.stem for path in files], [ids_themselves(list(images)), image_stems(images)])
    except DataError as error:
        raise DataError(f"{files[0].parent}: {error}") from None
