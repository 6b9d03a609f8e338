"""A data set's digest covers the bytes of every image, mask and annotation of it, in every format."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.plan.plugins import load_task
from tasks.formats.digests import digest_of_files

from .squares import write_squares

FORMATS = {
    "image-classification": "squares", "coco-detection": "coco", "zero-shot-classification": "coco",
    "coco-segmentation": "panoptic", "coco-segmentation voc": "voc", "coco-detection voc": "voc",
    "coco-segmentation camvid": "camvid", "coco-caption": "captions",
}  # fmt: skip


@pytest.fixture
def folder_of(request: pytest.FixtureRequest, tmp_path: Path, paint_in: Callable[..., None]) -> Callable[[str], Path]:
    """Write a tiny data set of a format."""

    def captions() -> Path:
        for split, count in (("train", 20), ("val", 2)):
            images = [{"id": i, "file_name": f"{split}{i}.png"} for i in range(count)]
            rows = [{"id": i, "image_id": i, "caption": "a cat"} for i in range(count)]
            path = tmp_path / f"captions/annotations/captions_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"images": images, "annotations": rows}))
            for image in images:
                paint_in(tmp_path / "captions/images" / str(image["file_name"]))
        return tmp_path / "captions"

    def make(name: str) -> Path:
        if name == "captions":
            return captions()
        if name == "squares":
            return write_squares(tmp_path / "squares")
        return Path(request.getfixturevalue(f"{name}_folder"))

    return make


@pytest.mark.parametrize("case", FORMATS)
def test_each_image_and_map_counts_by_its_bytes(
    case: str, folder_of: Callable[[str], Path], open_context: Callable[..., object]
) -> None:
    root = folder_of(FORMATS[case])
    task = load_task(case.split()[0])

    def digest() -> str:
        return task.open_data(open_context(root)).digest  # type: ignore[arg-type]

    first = digest()
    assert digest() == first
    used = 0
    images = [path for path in root.rglob("*") if path.suffix in (".png", ".jpg")]
    if case == "coco-detection voc":
        images = [path for path in images if path.parent.name == "JPEGImages"]
    for path in sorted(images)[::9]:
        before, times = path.read_bytes(), path.stat()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))  # after the end of the picture, so that it still opens
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert digest() != first, path
        path.write_bytes(before)
        used += 1
    assert used >= 3


@pytest.mark.parametrize("case", FORMATS)
def test_a_folder_keeps_its_digest_where_it_is_moved(
    case: str, folder_of: Callable[[str], Path], open_context: Callable[..., object], tmp_path: Path
) -> None:
    root = folder_of(FORMATS[case])
    moved = tmp_path / "elsewhere" / root.name
    shutil.copytree(root, moved)
    task = load_task(case.split()[0])
    digests = {task.open_data(open_context(place)).digest for place in (root, moved)}  # type: ignore[arg-type]
    assert len(digests) == 1


def test_two_images_that_change_places_are_another_data_set(
    folder_of: Callable[[str], Path], open_context: Callable[..., object]
) -> None:
    root = folder_of("squares")
    task = load_task("image-classification")
    first = task.open_data(open_context(root)).digest  # type: ignore[arg-type]
    one, other = (sorted(folder.glob("*"))[0] for folder in sorted((root / "val").iterdir())[:2])
    one.rename(root / "aside")
    other.rename(one)
    (root / "aside").rename(other)
    assert task.open_data(open_context(root)).digest != first  # type: ignore[arg-type]


def test_names_that_are_not_utf8_are_digested(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"coffee")
    assert len(digest_of_files([path.name], [path], [(path.name, path)])) == 64
