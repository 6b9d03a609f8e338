"""COCO's caption files: folders in the layouts that people have, read and checked.

Understood are COCO 2017 (`annotations/captions_{train,val}2017.json` beside `train2017/`,
`val2017/`), COCO 2014 with its names, and the plain folder (`annotations/captions_{train,val}.json`
beside `images/`). A `captions_test` file, where there is one, is used as the test split.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.content import Contents
from harness.errors import DataError
from harness.sample import Outcome
from tasks.formats.digests import NOWHERE, digest_of_files

_ANNOTATION = re.compile(r"captions_(?P<folder>(?P<split>[a-z][a-z-]*?)(?:2014|2017)?)\.json")


_TEXTS = frozenset({"file_name", "caption"})
"""The keys whose values are strings."""


@dataclass(frozen=True)
class CaptionFile:
    """One split on disk: its annotation file and the folder that holds its images."""

    split: str
    annotations: Path
    images: Path


@dataclass(frozen=True)
class CaptionedImage:
    """An image of a caption file with its references, and the file's own extra keys for it."""

    image_id: str
    path: Path
    references: tuple[str, ...]
    extra: Mapping[str, Any]


def find_caption_files(root: Path) -> dict[str, CaptionFile]:
    """List the splits below `root`; raises DataError when train or val is missing."""
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder in COCO layout ({_layouts()}).")
    found = {}
    for path in sorted((root / "annotations").glob("captions_*.json")):
        match = _ANNOTATION.fullmatch(path.name)
        if match:
            found[match["split"]] = CaptionFile(match["split"], path, _image_folder(root, match["folder"]))
    missing = [split for split in ("train", "val") if split not in found]
    if missing:
        raise DataError(
            f"{root} has no caption file for {' and '.join(missing)} "
            f"(seen: {_listing(root / 'annotations')}). Wanted: {_layouts()}."
        )
    return found


def read_caption_file(file: CaptionFile) -> list[CaptionedImage]:
    """Read one split in the order of its `images`, leaving out images without a caption.

    Raises DataError when the file is missing, is not JSON, lacks keys, or names images that are
    not there.
    """
    content = read_json(file.annotations)
    images = _entries(content, "images", ("id", "file_name"), file.annotations)
    annotations = _entries(content, "annotations", ("image_id", "caption"), file.annotations)
    references: dict[str, list[str]] = {}
    for position, image in enumerate(images):
        if references.setdefault(str(image["id"]), own := []) is not own:
            raise DataError(
                f"{file.annotations}: images[{position}] repeats the id {image['id']}. Mend the file or fetch it again."
            )
    for position, annotation in enumerate(annotations):
        if str(annotation["image_id"]) not in references:
            raise DataError(
                f"{file.annotations}: annotations[{position}] belongs to image {annotation['image_id']}, "
                "which is not among the file's images. Mend the file or fetch it again."
            )
        references[str(annotation["image_id"])].append(annotation["caption"])
    captioned = [
        CaptionedImage(str(image["id"]), file.images / image["file_name"], tuple(texts), image)
        for image in images
        if (texts := references[str(image["id"])])
    ]
    _require_images(captioned, file)
    return captioned


def read_references(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the captions of an annotation file by image id, without looking for the images."""
    annotations = _entries(read_json(path), "annotations", ("image_id", "caption"), path)
    references: dict[str, list[str]] = {}
    for annotation in annotations:
        references.setdefault(str(annotation["image_id"]), []).append(annotation["caption"])
    return {image_id: tuple(texts) for image_id, texts in references.items()}


def read_caption_results(path: Path) -> list[Outcome]:
    """Read COCO's results format: a list of `{"image_id": …, "caption": …}`; raises DataError."""
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(
            f'{path} holds {_kind(content)}; wanted COCO\'s results format, a list of {{"image_id", "caption"}}.'
        )
    outcomes, seen = [], set()
    for position, entry in enumerate(content):
        if not isinstance(entry, dict) or "image_id" not in entry or not isinstance(entry.get("caption"), str):
            raise DataError(f'{path}: entry {position} is {entry!r}; wanted {{"image_id": …, "caption": "…"}}.')
        image_id = str(entry["image_id"])
        if image_id in seen:
            raise DataError(f"{path}: image {image_id} has two captions (entry {position}). Keep one.")
        seen.add(image_id)
        outcomes.append(Outcome(image_id, entry["caption"]))
    return outcomes


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DataError that names the file and the place."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; wanted a JSON file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Mend its permissions or fetch it again.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}. Fetch it again.") from None


def digest_of(files: Sequence[CaptionFile], contents: Contents = NOWHERE) -> str:
    """Digest splits, annotation files by their bytes, and the names and bytes of the images that they list."""
    digest = hashlib.sha256()
    for file in files:
        images = ((image.path.name, image.path) for image in read_caption_file(file))
        digest.update(f"{file.split} {digest_of_files((), [file.annotations], images, contents)}\n".encode())
    return digest.hexdigest()


def _layouts() -> str:
    return (
        "annotations/captions_{train,val}2017.json with train2017/ and val2017/, the same with 2014, "
        "or annotations/captions_{train,val}.json with images/"
    )


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())[:6] if folder.is_dir() else []
    return ", ".join(names) if names else "nothing"


def _image_folder(root: Path, name: str) -> Path:
    return root / name if (root / name).is_dir() else root / "images"


def _kind(content: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string"}.get(type(content), type(content).__name__)


def _entries(content: Any, key: str, wanted: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise DataError(f"{path} has no list '{key}'; wanted COCO's caption format with 'images' and 'annotations'.")
    entries: list[dict[str, Any]] = content[key]
    for position, entry in enumerate(entries):
        lacking = [name for name in wanted if not isinstance(entry, dict) or name not in entry]
        if lacking:
            raise DataError(f"{path}: {key}[{position}] lacks '{lacking[0]}'. Mend the file or fetch it again.")
        for name in _TEXTS.intersection(wanted):
            if not isinstance(entry[name], str):
                raise DataError(
                    f"{path}: {key}[{position}] has {entry[name]!r} as its '{name}'; wanted a string. "
                    "Mend the file or fetch it again."
                )
    return entries


def _require_images(captioned: Sequence[CaptionedImage], file: CaptionFile) -> None:
    present: dict[Path, set[str]] = {}
    missing = []
    for image in captioned:
        folder = image.path.parent
        if folder not in present:
            present[folder] = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if image.path.name not in present[folder]:
            missing.append(image.path.name)
    if missing:
        raise DataError(
            f"{file.annotations} names {len(missing)} of {len(captioned)} images that are not in {file.images} "
            f"(first: {', '.join(missing[:3])}). Put them there or leave them out of the file."
        )
