"""Tiny data sets in every layout, made in a temporary folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.formats.coco_layout import SplitFile
from tasks.scenes.generate import write_splits

MINI = Path(__file__).parents[4] / "shared" / "data" / "coco-mini"
WIDTH, HEIGHT = 20, 10


@pytest.fixture(scope="session")
def mini() -> Path:
    """Real COCO photographs and annotations."""
    if not MINI.is_dir():
        pytest.skip("no coco-mini beside the repository")
    return MINI


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images each of three splits of Scenes."""
    root = tmp_path_factory.mktemp("scenes")
    write_splits(root, ["train", "val", "novel-hard"], processes=1, limit=8)
    return root


def paint(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value % 256, 0, 0)).save(path)
    return path


@pytest.fixture(scope="session")
def paint_in() -> Callable[..., Path]:
    """Write an image of one colour: `paint_in(path, size=(20, 10), value=7)`."""
    return paint


def instances_content() -> dict[str, Any]:
    """Three images of 20 x 10 px, the last one empty; two categories, out of order, with a gap in their ids."""
    polygon = [[2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]]
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in (30, 10, 20)
        ],
        "categories": [
            {"id": 5, "name": "dog", "supercategory": "animal", "tier": "base"},
            {"id": 2, "name": "cat", "supercategory": "animal"},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 5, "bbox": [2, 1, 4, 3], "area": 12.0, "iscrowd": 0,
             "segmentation": polygon},
            {"id": 2, "image_id": 30, "category_id": 2, "bbox": [0, 0, 20, 10], "area": 11, "iscrowd": 1,
             "segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 11, 189]}},
            {"id": 3, "image_id": 10, "category_id": 2, "bbox": [-0.5, 0, 1.5, 10.25], "area": 10.0, "iscrowd": 0},
        ],
    }  # fmt: skip


def panoptic_content() -> dict[str, Any]:
    """Two images; the first has a crowd of cats (segment 1), sky (segment 70000) and unlabelled pixels."""
    sky = {"id": 70_000, "category_id": 9, "area": 40, "bbox": [0, 0, 1, 1], "iscrowd": 0}
    crowd = {"id": 1, "category_id": 2, "area": 10, "bbox": [0, 0, 1, 1], "iscrowd": 1}
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in (30, 10)],
        "categories": [
            {"id": 9, "name": "sky", "supercategory": "sky", "isthing": 0},
            {"id": 2, "name": "cat", "supercategory": "animal", "isthing": 1},
        ],
        "annotations": [
            {"image_id": 10, "file_name": "10.png", "segments_info": [{**crowd, "iscrowd": 0}]},
            {"image_id": 30, "file_name": "30.png", "segments_info": [crowd, sky]},
        ],
    }


def panoptic_ids() -> dict[str, np.ndarray]:
    first = np.zeros((HEIGHT, WIDTH), np.int64)
    first[0, :10], first[1:3] = 1, 70_000
    return {"30.png": first, "10.png": np.ones((HEIGHT, WIDTH), np.int64)}


def write_ids(path: Path, ids: np.ndarray) -> None:
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65_536], axis=-1).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@dataclass(frozen=True)
class CocoFolder:
    """A split on disk that a test may break."""

    root: Path
    kind: str
    content: dict[str, Any] = field(repr=False)

    @property
    def file(self) -> SplitFile:
        maps = self.root / "annotations/panoptic_val" if self.kind == "panoptic" else None
        return SplitFile("val", self.root / f"annotations/{self.kind}_val.json", self.root / "images", maps)

    def edit(self, change: Callable[[dict[str, Any]], Any]) -> Path:
        """Change the content in place, or replace it by what is returned, and write it."""
        replaced = change(self.content)
        self.file.annotations.write_text(json.dumps(replaced if isinstance(replaced, list) else self.content))
        return self.file.annotations


def write_coco(root: Path, kind: str, content: dict[str, Any]) -> CocoFolder:
    (root / "annotations").mkdir(parents=True)
    for image in content["images"]:
        paint(root / "images" / image["file_name"], value=image["id"])
    folder = CocoFolder(root, kind, content)
    folder.edit(lambda _: None)
    return folder


@pytest.fixture
def instances(tmp_path: Path) -> CocoFolder:
    return write_coco(tmp_path / "coco", "instances", instances_content())


@pytest.fixture
def panoptic(tmp_path: Path) -> CocoFolder:
    folder = write_coco(tmp_path / "coco", "panoptic", panoptic_content())
    for name, ids in panoptic_ids().items():
        write_ids(folder.root / "annotations/panoptic_val" / name, ids)
    return folder
