"""Where the files of a written data set are: the only place that knows their names.

    <root>/<folder>/<image id, 12 digits>.png          images, RGB
    <root>/annotations/instances_<folder>.json         boxes, masks (RLE), attributes of objects
    <root>/annotations/captions_<folder>.json          captions, logical forms, facts
    <root>/annotations/panoptic_<folder>.json, .../panoptic_<folder>/*.png
    <root>/annotations/semantic_<folder>/*.png         category ids, 255 where a crowd is to be ignored
    <root>/annotations/scenes_<folder>.json            factors, remarks, expressions, foils; written last

<folder> is the split's name, but for train and val, which are named as in COCO: train2017 and val2017.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tasks.scenes.splits import SPLITS

_COCO_NAMES: Final = {"train": "train2017", "val": "val2017"}
FILE_KINDS: Final = ("instances", "captions", "panoptic", "scenes")
MAP_KINDS: Final = ("panoptic", "semantic")


def folder_name(split: str) -> str:
    """The name of a split in paths."""
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r} of Scenes; expected one of {', '.join(SPLITS)}")
    return _COCO_NAMES.get(split, split)


def image_dir(root: Path, split: str) -> Path:
    """The folder of a split's images."""
    return root / folder_name(split)


def annotation_file(root: Path, kind: str, split: str) -> Path:
    """One of a split's JSON files; `kind` is one of FILE_KINDS."""
    return root / "annotations" / f"{kind}_{folder_name(split)}.json"


def map_dir(root: Path, kind: str, split: str) -> Path:
    """The folder of a split's panoptic or semantic PNG maps."""
    return root / "annotations" / f"{kind}_{folder_name(split)}"


def is_complete(root: Path, split: str) -> bool:
    """Whether a split is wholly there: its scenes file is written after everything else."""
    return annotation_file(root, "scenes", split).is_file()


def image_id(split: str, index: int) -> int:
    """The id of an image, unique over all splits; `tiny` shares the ids of the first images of train."""
    key = SPLITS[split].key
    return (list(SPLITS).index(key) + 1) * 10_000 + index + 1


def image_file_name(split: str, index: int) -> str:
    """The file name of an image and of its maps."""
    return f"{image_id(split, index):012d}.png"
