"""Some images of COCO: chosen by a seed from those with captions, with the annotations of these alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.errors import DataError


def choose_images(folder: Path, part: str, count: int, seed: int) -> list[str]:
    """Choose images of a part and leave its annotation files with them alone; returns their file names.

    Images are ordered by the sha256 of seed and file name, so that a larger choice holds a smaller one. Raises
    DataError where the annotations are not there.
    """
    files = sorted((folder / "annotations").glob(f"*_{part}2017.json"))
    captions = folder / "annotations" / f"captions_{part}2017.json"
    if captions not in files:
        raise DataError(f"{captions} is not there, and says which images there are. Get the part annotations too.")
    images = json.loads(captions.read_text(encoding="utf-8"))["images"]
    chosen = sorted(images, key=lambda image: hashlib.sha256(f"{seed}/{image['file_name']}".encode()).digest())[:count]
    ids = {image["id"] for image in chosen}
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        content["images"] = [image for image in content["images"] if image["id"] in ids]
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in ids]
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return sorted(image["file_name"] for image in chosen)
