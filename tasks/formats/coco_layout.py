"""Where the annotation files, images and maps of each split are, in the COCO layouts that people have.

COCO 2017 (`annotations/instances_{train,val}2017.json` beside `train2017/`, `val2017/`), COCO 2014, the plain folder
(`annotations/instances_{train,val,test}.json` beside `images/`), and Scenes, whose further splits carry no year. The
files may be packed (`.json.gz`). One of the splits train, val and test is enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError

ROLES = ("train", "val", "test")
_SPLIT = r"(?P<folder>(?P<split>[a-z][a-z-]*?)(?:2014|2017)?)"


@dataclass(frozen=True)
class SplitFile:
    """One split on disk: its annotation file, its image folder and, for some kinds, its folder of PNG maps."""

    split: str
    annotations: Path
    images: Path
    maps: Path | None = None


def find_caption_files(root: Path) -> dict[str, SplitFile]:
    """List the splits that have captions; raises DataError when there is none."""
    return _find(root, "captions", None)


def find_instance_files(root: Path) -> dict[str, SplitFile]:
    """List the splits that have boxes and masks; raises DataError when there is none."""
    return _find(root, "instances", None)


def find_panoptic_files(root: Path) -> dict[str, SplitFile]:
    """List the splits that have panoptic maps (`annotations/panoptic_<folder>/`); raises DataError as above."""
    return _find(root, "panoptic", "panoptic_{}")


def find_pixel_map_files(root: Path) -> dict[str, SplitFile]:
    """List the splits that have semantic maps: COCO-Stuff's `stuff_<folder>_pixelmaps/`, else Scenes' `semantic_…/`.

    Categories and the list of images come from `stuff_<folder>.json` and from `panoptic_<folder>.json`.
    """
    if any((root / "annotations").glob("stuff_*_pixelmaps")):
        return _find(root, "stuff", "stuff_{}_pixelmaps")
    return _find(root, "panoptic", "semantic_{}")


def annotation_files(root: Path, kind: str) -> list[Path]:
    """List `annotations/<kind>_….json`, packed ones too, in sorted order."""
    folder = root / "annotations"
    return sorted((*folder.glob(f"{kind}_*.json"), *folder.glob(f"{kind}_*.json.gz")))


def _find(root: Path, kind: str, maps: str | None) -> dict[str, SplitFile]:
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder in COCO layout ({_layouts(kind)}).")
    folder, pattern = root / "annotations", re.compile(rf"{kind}_{_SPLIT}\.json(?:\.gz)?")
    candidates: dict[str, list[SplitFile]] = {}
    for path in annotation_files(root, kind):
        match = pattern.fullmatch(path.name)
        map_folder = folder / maps.format(match["folder"]) if match and maps else None
        if match and (map_folder is None or map_folder.is_dir()):
            file = SplitFile(match["split"], path, _image_folder(root, match["folder"]), map_folder)
            candidates.setdefault(match["split"], []).append(file)
    if not any(split in candidates for split in ROLES):
        seen = sorted(path.name for path in folder.iterdir())[:6] if folder.is_dir() else []
        with_maps = f" with a folder {maps.format('<split>')}" if maps else ""
        raise DataError(
            f"{root} has no {kind} file{with_maps} for {', '.join(ROLES[:-1])} or {ROLES[-1]} (seen in annotations: "
            f"{', '.join(seen) or 'nothing'}). Wanted: {_layouts(kind)}."
        )
    return {split: _only(files, root) for split, files in candidates.items()}


def _only(files: Sequence[SplitFile], root: Path) -> SplitFile:
    """Choose between files of several years by the images that are there."""
    chosen = [file for file in files if file.images.is_dir()] if len(files) > 1 else files
    if len(chosen) == 1:
        return chosen[0]
    names = " and ".join(file.annotations.name for file in files)
    raise DataError(
        f"{root} has {names} for the split {files[0].split}, with images for {len(chosen)} of them. "
        "Keep one year's files in a folder."
    )


def _image_folder(root: Path, name: str) -> Path:
    return root / name if (root / name).is_dir() else root / "images"


def _layouts(kind: str) -> str:
    return (
        f"annotations/{kind}_{{train,val}}2017.json with train2017/ and val2017/, the same with 2014, "
        f"or annotations/{kind}_{{train,val}}.json with images/"
    )
