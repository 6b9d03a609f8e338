"""Predicted label images made elsewhere: a folder of them, named by sample or by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError
from tasks.formats.image_folder import SUFFIXES
from tasks.formats.sample_ids import require_same_ids


def read_predicted_maps(folder: Path, images: Mapping[str, Path]) -> dict[str, Path]:
    """Find the predicted label image of each sample, by its id or its image's stem, in the order of `images`.

    `images` gives the image of each sample id. Raises DataError naming the first three that are unknown, missing or
    there twice. `read_label_image` reads them.
    """
    if not folder.is_dir():
        raise DataError(f"No folder {folder}. Give a folder of label images, named by image id or image file.")
    names = _names_of_samples(images)
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(names.get(path.stem, path.name), []).append(path)
    require_same_ids(folder, [key for key, paths in found.items() for _ in paths], list(images))
    return {sample_id: found[sample_id][0] for sample_id in images}


def _names_of_samples(images: Mapping[str, Path]) -> dict[str, str]:
    """The sample that a file name stands for: ids, and the stems of images where they can mean one sample only."""
    stems = Counter(path.stem for path in images.values())
    by_stem = {path.stem: key for key, path in images.items() if stems[path.stem] == 1 and path.stem not in images}
    return by_stem | {key: key for key in images}
