"""COCO's caption files and results, read and checked; `tasks.formats.coco_layout` finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.sample import Note, Outcome
from harness.storage.content import Contents
from tasks.formats.coco_entries import MEND, read_entries, require_inside, require_keys, require_unique
from tasks.formats.coco_layout import SplitFile
from tasks.formats.digests import NOWHERE, digest_of_files
from tasks.formats.file_names import require_files
from tasks.formats.json_files import json_kind_of, read_json

_IMAGE = {"id": "id", "file_name": "text"}
_CAPTION = {"image_id": "id", "caption": "text"}


@dataclass(frozen=True)
class CaptionedImage:
    """An image of a caption file with its references."""

    image_id: str
    path: Path
    references: tuple[str, ...]


@dataclass(frozen=True)
class CaptionSplit:
    """The images of a caption file that have captions, in the file's order; `notes` say what is left out."""

    source: Path
    images: tuple[CaptionedImage, ...]
    notes: tuple[Note, ...] = ()


def read_caption_file(file: SplitFile) -> CaptionSplit:
    """Read one split in the order of its `images`, leaving out images without a caption.

    Raises DataError when the file is missing, is not JSON, lacks keys, or names images that are not there or lead out
    of their folder.
    """
    split = captions_of(read_json(file.annotations), file.annotations, file.images)
    paths = require_files([image.path for image in split.images], file.annotations, file.images)
    images = tuple(replace(image, path=path) for image, path in zip(split.images, paths, strict=True))
    return CaptionSplit(file.annotations, images, tuple(replace(note, split=file.split) for note in split.notes))


def read_references(path: Path) -> CaptionSplit:
    """Read the captions of an annotation file with all its checks, without looking for the images.

    A file without `images` is taken too: then nothing tells whether captions are missing, which a note says.
    """
    content = read_json(path)
    if isinstance(content, dict) and "images" not in content:
        rows = read_entries(content, "annotations", _CAPTION, path)
        listed = {"images": [{"id": i, "file_name": "-"} for i in dict.fromkeys(str(row["image_id"]) for row in rows)]}
        split = captions_of({**content, **listed}, path, Path())
        note = Note("the file of references has no list 'images': an image without a caption would not be missed")
        return CaptionSplit(path, split.images, (note,))
    return captions_of(content, path, Path())


def read_caption_results(path: Path) -> list[Outcome]:
    """Read COCO's results format: a list of `{"image_id": …, "caption": …}`; raises DataError."""
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(
            f'{path} holds {json_kind_of(content)}; wanted COCO\'s results format, a list of {{"image_id", "caption"}}.'
        )
    outcomes, seen = [], set()
    for position, entry in enumerate(content):
        require_keys(entry, _CAPTION, f"{path}: entry {position}")
        image_id = str(entry["image_id"])
        if image_id in seen:
            raise DataError(f"{path}: image {image_id} has two captions (entry {position}). Keep one.")
        seen.add(image_id)
        outcomes.append(Outcome(image_id, entry["caption"]))
    return outcomes


def captions_digest_of(splits: Mapping[str, CaptionSplit], contents: Contents = NOWHERE) -> str:
    """Digest splits, annotation files by their bytes, and the names and bytes of the images that have captions."""
    digest = hashlib.sha256()
    for name, split in splits.items():
        images = ((image.path.name, image.path) for image in split.images)
        digest.update(f"{name} {digest_of_files((), [split.source], images, contents)}\n".encode())
    return digest.hexdigest()


def captions_of(content: Any, path: Path, folder: Path) -> CaptionSplit:
    """Check a caption file's content, without looking for its images; raises DataError naming what is wrong."""
    rows = read_entries(content, "images", _IMAGE, path)
    captions = read_entries(content, "annotations", _CAPTION, path)
    require_unique((str(row["id"]) for row in rows), f"{path}: images[{{}}] repeats the id {{}}. {MEND}")
    references: dict[str, list[str]] = {str(row["id"]): [] for row in rows}
    for position, row in enumerate(rows):
        require_inside(row["file_name"], f"{path}: images[{position}] (id {row['id']})")
    for position, caption in enumerate(captions):
        if str(caption["image_id"]) not in references:
            raise DataError(
                f"{path}: annotations[{position}] belongs to image {caption['image_id']}, "
                f"which is not among the file's images. {MEND}"
            )
        references[str(caption["image_id"])].append(caption["caption"])
    images = tuple(
        CaptionedImage(str(row["id"]), folder / row["file_name"], tuple(texts))
        for row in rows
        if (texts := references[str(row["id"])])
    )
    if not images:
        raise DataError(f"{path} has no image with a caption: there is nothing to evaluate. Give a file with captions.")
    without = [str(row["id"]) for row in rows if not references[str(row["id"])]]
    text = f"{len(without)} of {len(rows)} images have no caption and are left out (first: {', '.join(without[:3])})"
    return CaptionSplit(path, images, (Note(text, None, len(without), len(rows)),) if without else ())
