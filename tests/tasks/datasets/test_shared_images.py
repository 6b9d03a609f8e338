"""Images that splits share are found by content and by name, in every folder that tasks read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from harness.protocols import DataContext
from harness.storage.content import Contents
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification
from tasks.datasets.shared_images import KnownImage, coco_image, shared_images
from tasks.detection.task import coco_detection
from tasks.segmentation.task import coco_segmentation

MakeContext = Callable[..., DataContext]


def shared(notes: object) -> list[str]:
    return [str(note) for note in notes if " too (first: " in str(note)]  # type: ignore[attr-defined]


def tell_apart(root: Path) -> None:
    """Give each image of a folder pixels of its own, those of COCO's and VOC's fixtures being alike."""
    for number, path in enumerate(sorted((*root.rglob("*.jpg"), *root.rglob("*.png")))):
        if "annot" not in str(path) and "Segmentation" not in str(path):
            with Image.open(path) as image:
                size = image.size
            Image.new("RGB", size, (number * 5 % 256, 40 * (number * 5 // 256), 7)).save(path, quality=100)


def test_content_and_names_are_counted_once(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg", "gone too.jpg")]
    for path, content in zip(paths, (b"1", b"1", b"2"), strict=False):
        path.write_bytes(content)
    a, b, c, gone, also = (KnownImage(path.stem, path, path.stem[0]) for path in paths)
    (note,) = shared_images({"train": [a, gone], "val": [b, c], "test": [c]}, Contents())[1:2]
    assert str(note) == (
        "split test: 1 of 1 images are in val too (first: c; 1 by the content of their files, 1 by name): what was "
        "trained on them has seen their answers"
    )
    by_content = shared_images({"train": [a], "val": [b, also]}, Contents())
    assert [(note.split, note.count, note.total) for note in by_content] == [("val", 1, 2)]
    assert shared_images({"train": [KnownImage("x", gone.path)], "val": [KnownImage("y", also.path)]}, Contents()) == ()
    assert shared_images({"val": [a, a]}, Contents()) == ()


def test_cocos_years_name_the_same_image_in_two_ways() -> None:
    assert coco_image(5, Path("COCO_val2014_000000000005.jpg")).key == coco_image(5, Path("000000000005.jpg")).key
    assert coco_image(5, Path("5.jpg")).key != coco_image(6, Path("5.jpg")).key


def test_captions_of_mixed_years_are_told(
    captions_in: Callable[..., Path], tmp_path: Path, open_context: MakeContext
) -> None:
    root = captions_in(tmp_path / "data", train=8, val=6)
    assert not [text for text in shared(coco_caption.open_data(open_context(root)).notes) if "by name" in text]
    path = root / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    for image, other in zip(content["images"][:4], range(101, 105), strict=True):
        old, name = image["id"], f"COCO_val2014_{other:012}.jpg"
        shutil.copy(root / f"train2017/{other:012}.jpg", root / "val2017" / name)
        image.update(id=other, file_name=name)
        for caption in content["annotations"]:
            if caption["image_id"] == old:
                caption["image_id"] = other
    path.write_text(json.dumps(content))
    (text,) = shared(coco_caption.open_data(open_context(root)).notes)
    assert text.startswith("split val: 6 of 6 images are in train too (first: 101, 102, 103; 6 by the content of their")
    assert ", 4 by name)" in text


def test_every_folder_reader_looks(
    coco_folder: Path, voc_folder: Path, camvid_folder: Path, panoptic_folder: Path, open_context: MakeContext
) -> None:
    for task, root, split, first in (
        (coco_detection, coco_folder, "val", "5"),
        (coco_detection, voc_folder, "val", "2008_000001"),
        (coco_segmentation, voc_folder, "val", "2008_000001"),
        (coco_segmentation, camvid_folder, "test", "test00"),
        (coco_segmentation, panoptic_folder, "val", "8"),
        (image_classification, coco_folder, "val", "5"),
        (image_classification, voc_folder, "val", "2008_000001"),
    ):
        (text,) = shared(task.open_data(open_context(root)).notes)
        assert text.startswith(f"split {split}: ") and f"images are in train too (first: {first}, " in text
    for root in (coco_folder, voc_folder, camvid_folder, panoptic_folder):
        tell_apart(root)
    for task, root in (
        (coco_detection, coco_folder), (coco_detection, voc_folder), (coco_segmentation, voc_folder),
        (coco_segmentation, camvid_folder), (coco_segmentation, panoptic_folder),
    ):  # fmt: skip
        assert shared(task.open_data(open_context(root)).notes) == []


def test_image_folders_look_too(tmp_path: Path, open_context: MakeContext) -> None:
    for number, name in enumerate(("train/a/1.png", "train/a/2.png", "train/b/3.png", "val/a/1.png", "val/b/x.png")):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (2 if name.endswith("x.png") else number, 0, 0)).save(path)
    (text,) = shared(image_classification.open_data(open_context(tmp_path / "data")).notes)
    assert text.startswith("split val: 1 of 2 images are in train too (first: val/b/x.png; 1 by the content of")


def test_a_split_that_is_a_link_to_another_is_told(camvid_folder: Path, open_context: MakeContext) -> None:
    tell_apart(camvid_folder)
    for name in ("test", "testannot"):
        shutil.rmtree(camvid_folder / name)
        (camvid_folder / name).symlink_to(camvid_folder / name.replace("test", "train"))
    (text,) = shared(coco_segmentation.open_data(open_context(camvid_folder)).notes)
    assert text.startswith("split test: 40 of 40 images are in train too (first: train00, train01, train02; ")
