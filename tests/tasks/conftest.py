"""Tiny data sets for tasks: a few images of Scenes, COCO and VOC folders, folders of label images; coco-mini."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.protocols import DataContext
from tasks.scenes.generate import write_splits

MINI = Path(__file__).parents[3] / "shared" / "data" / "coco-mini"
WIDTH, HEIGHT = 40, 30
CATEGORIES = [{"id": 7, "name": "dog", "isthing": 1}, {"id": 3, "name": "cat", "isthing": 1}]
CATEGORIES += [{"id": 9, "name": "sky", "isthing": 0}]
VOC_OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


@pytest.fixture
def open_context(tmp_path: Path) -> Callable[..., DataContext]:
    """Make the context of a user: `open_context(root, novel="cat")`."""

    def make(wish: Path | str, split: str | None = None, **settings: Any) -> DataContext:
        return DataContext(str(wish), split, None, tmp_path, tmp_path / "cache", lambda *_: None, settings)

    return make


@pytest.fixture(scope="session")
def coco_mini() -> Path:
    """Real COCO photographs and annotations."""
    if not MINI.is_dir():
        pytest.skip("no coco-mini beside the repository")
    return MINI


@pytest.fixture(scope="session")
def scenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images each of four splits of Scenes."""
    root = tmp_path_factory.mktemp("few-scenes")
    write_splits(root, ["train", "val", "test", "novel"], processes=1, limit=12)
    return root


@pytest.fixture
def few_scenes(scenes_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `--data scenes` be a few images, which are quickly made."""
    monkeypatch.setattr("tasks.scenes_data.open.ensure_scenes", lambda *_, **__: scenes_root)
    return scenes_root


def paint(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 60, 30)).save(path, **options)


@pytest.fixture(scope="session")
def paint_in() -> Callable[..., None]:
    """Write an image of one colour: `paint_in(path, size=(40, 30))`."""
    return paint


def coco_objects(images: Sequence[int], rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Content of an instances file; rows are (image, category, box, crowd), masks are the boxes themselves."""
    annotations = []
    for number, (image, category, box, crowd) in enumerate(rows, start=1):
        x, y, w, h = box
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[y : y + h, x : x + w] = 1
        annotations.append(
            {
                "id": number, "image_id": image, "category_id": category, "bbox": list(box), "area": w * h,
                "iscrowd": crowd, "segmentation": {"size": [HEIGHT, WIDTH], "counts": _runs(mask)},
            }
        )  # fmt: skip
    return {"images": image_rows(images), "categories": CATEGORIES[:2], "annotations": annotations}


def image_rows(images: Sequence[int]) -> list[dict[str, Any]]:
    return [{"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in images]


def _runs(mask: np.ndarray) -> list[int]:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, len(flat)]).tolist()
    return runs if not flat[0] else [0, *runs]


OBJECTS: Mapping[str, tuple[list[int], list[tuple[Any, ...]]]] = {
    "train": (
        list(range(100, 140)),
        [(i, (7, 3)[i % 2], (2, 3, 10, 12), 0) for i in range(100, 130)] + [(102, 3, (20, 10, 8, 8), 0)],
    ),
    "val": (
        [5, 2, 8],
        [
            (5, 7, (1, 2, 20, 10), 0), (5, 3, (8, 10, 12, 12), 0), (2, 7, (0, 0, 40, 30), 1), (2, 3, (3, 3, 6, 7), 0),
            (2, 7, (30, 20, 10, 10), 0),
        ],
    ),
}  # fmt: skip


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """A folder in COCO's plain layout: dogs and cats, a crowd of dogs, images without anything."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for split, (images, rows) in OBJECTS.items():
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(coco_objects(images, rows)))
        for image in images:
            paint(root / f"images/{image}.jpg")
    return root


@pytest.fixture
def voc_folder(tmp_path: Path) -> Path:
    """VOCdevkit/VOC2012 with boxes and label maps; the test images are listed without annotations."""
    folder = tmp_path / "VOCdevkit/VOC2012"
    for name in ("Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    splits = {"train": [f"2007_{i:06}" for i in range(1, 41)], "val": ["2008_000001", "2008_000002"]}
    for names in splits.values():
        for name in names:
            paint(folder / f"JPEGImages/{name}.jpg")
            items = VOC_OBJECT.format("dog", 0, 1, 1, 20, 30) + VOC_OBJECT.format("cat", 1, 21, 1, 40, 10)
            size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
            (folder / f"Annotations/{name}.xml").write_text(f"<annotation>{size}{items}</annotation>")
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[:, :20], labels[0] = 12, 255
            Image.fromarray(labels).save(folder / f"SegmentationClass/{name}.png")
    splits["test"] = ["2009_000001"]
    for split, names in splits.items():
        for kind in ("Main", "Segmentation"):
            (folder / f"ImageSets/{kind}/{split}.txt").write_text("\n".join(names))
    return tmp_path / "VOCdevkit"


def write_panoptic(path: Path, images: Mapping[int, tuple[np.ndarray, Mapping[int, tuple[int, int]]]]) -> None:
    """Write maps by image: segment ids, and (category, crowd) of each segment."""
    path.with_suffix("").mkdir(parents=True, exist_ok=True)
    annotations = []
    for image, (ids, segments) in images.items():
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65_536], axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(path.with_suffix("") / f"{image}.png")
        infos = [{"id": i, "category_id": c, "iscrowd": crowd} for i, (c, crowd) in segments.items()]
        annotations.append({"image_id": image, "file_name": f"{image}.png", "segments_info": infos})
    content = {"images": image_rows(list(images)), "categories": CATEGORIES, "annotations": annotations}
    path.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def panoptic_in() -> Callable[..., None]:
    """Write a panoptic JSON and its maps: `panoptic_in(path, {image: (ids, {segment: (category, crowd)})})`."""
    return write_panoptic


def panoptic_ids(shift: int = 0) -> tuple[np.ndarray, dict[int, tuple[int, int]]]:
    """Sky, a dog, a crowd of cats and unlabelled pixels."""
    ids = np.full((HEIGHT, WIDTH), 300)
    ids[10:20, 5 + shift : 15 + shift], ids[20:28, 20:36], ids[29] = 11, 70_000, 0
    return ids, {300: (9, 0), 11: (7, 0), 70_000: (3, 1)}


@pytest.fixture
def panoptic_folder(tmp_path: Path) -> Path:
    """A folder in COCO's plain panoptic layout; val has a cat that is no crowd, too."""
    root = tmp_path / "panoptic"
    ids, segments = panoptic_ids()
    ids[2:7, 30:38] = 12
    contents = {
        "train": {i: panoptic_ids(i % 5) for i in range(100, 140)},
        "val": {8: panoptic_ids(), 2: (ids, {**segments, 12: (3, 0)})},
    }
    for split, images in contents.items():
        write_panoptic(root / f"annotations/panoptic_{split}.json", images)
        for image in images:
            paint(root / f"images/{image}.jpg")
    return root


@pytest.fixture
def camvid_folder(tmp_path: Path) -> Path:
    """train/ and test/ with label images of three values, 11 being void."""
    root = tmp_path / "camvid"
    for split, count in (("train", 40), ("test", 3)):
        (root / f"{split}annot").mkdir(parents=True)
        for number in range(count):
            paint(root / f"{split}/{split}{number:02}.png")
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[15:], labels[20:25, : 5 + number], labels[0] = 3, 8, 11
            Image.fromarray(labels).save(root / f"{split}annot/{split}{number:02}.png")
    return root
