"""The split of Karpathy and Fei-Fei (2015, arXiv:1412.2306) of COCO 2014 and Flickr30k, as COCO caption files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Progress = Callable[[str, int, int], None]
_SPLITS = {"train": "train", "restval": "train", "val": "val", "test": "test"}
"""`restval` is what is left of COCO's val: everyone trains on it too."""
_ARCHIVED = ("dataset_coco.json", "dataset_flickr30k.json", "dataset_flickr8k.json")


def coco_captions(folder: Path, progress: Progress) -> None:
    """Write COCO's captions of each split; image files are `images/{train,val}2014/NAME`."""
    _write(folder, "dataset_coco.json", lambda image: f"{image['filepath']}/{image['filename']}", progress)


def flickr30k_captions(folder: Path, progress: Progress) -> None:
    """Write Flickr30k's captions of each split; image files are `images/NAME`."""
    _write(folder, "dataset_flickr30k.json", lambda image: str(image["filename"]), progress)


def _write(folder: Path, name: str, file_name: Callable[[Any], str], progress: Progress) -> None:
    progress(f"reading {name}", 0, 0)
    images = json.loads((folder / name).read_text(encoding="utf-8"))["images"]
    (folder / "annotations").mkdir(exist_ok=True)
    for split in dict.fromkeys(_SPLITS.values()):
        rows = [image for image in images if _SPLITS[image["split"]] == split]
        content = {
            "images": [{"id": _image_id(image), "file_name": file_name(image)} for image in rows],
            "annotations": [
                {"id": int(sentence["sentid"]), "image_id": _image_id(image), "caption": sentence["raw"]}
                for image in rows
                for sentence in image["sentences"]
            ],
        }
        text = json.dumps(content, ensure_ascii=False)
        (folder / "annotations" / f"captions_{split}.json").write_text(text, encoding="utf-8")
    for archived in _ARCHIVED:
        (folder / archived).unlink(missing_ok=True)


def _image_id(image: Any) -> int:
    return int(image.get("cocoid", image["imgid"]))
