"""What was unpacked is brought into layouts that the tasks' readers open."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from harness.errors import DataError
from harness.protocols import DataContext
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification
from tasks.known_data.coco_choice import choose_images
from tasks.known_data.coco_panoptic import unpack_maps
from tasks.known_data.imagenet import sort_validation, unpack_classes
from tasks.known_data.karpathy import coco_captions, flickr30k_captions


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def opened(task: Any, root: Path, cache: Path) -> Any:
    return task.open_data(DataContext(str(root), None, None, root, cache, quiet, {}))


def jpeg(place: Path, shade: int = 0) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(place, "JPEG")


def karpathy(folder: Path, name: str, images: list[dict[str, Any]]) -> None:
    (folder / name).write_text(json.dumps({"images": images, "dataset": "x"}), encoding="utf-8")


def test_karpathys_split_of_coco(tmp_path: Path) -> None:
    rows = [("train", "train2014"), ("restval", "val2014"), ("val", "val2014"), ("test", "val2014")]
    images = []
    for number, (split, folder) in enumerate(rows):
        name = f"COCO_{folder}_{number}.jpg"
        jpeg(tmp_path / "images" / folder / name, number)
        sentences = [{"raw": f"An image {number}é.", "sentid": 2 * number + k, "tokens": []} for k in (0, 1)]
        images.append({
            "filepath": folder, "filename": name, "split": split, "imgid": number, "cocoid": 1000 + number,
            "sentences": sentences,
        })  # fmt: skip
    karpathy(tmp_path, "dataset_coco.json", images)
    karpathy(tmp_path, "dataset_flickr8k.json", [])
    coco_captions(tmp_path, quiet)
    assert not list(tmp_path.glob("*.json"))
    data = opened(coco_caption, tmp_path, tmp_path / "cache")
    found = {split: [s.sample_id for s in coco_caption.samples(data, split)] for split in data.splits}
    assert found == {"train": ["1000", "1001"], "val": ["1002"], "test": ["1003"]}
    assert coco_caption.samples(data, "test")[0].target.references == ("An image 3é.",) * 2


def test_karpathys_split_of_flickr30k(tmp_path: Path) -> None:
    images = []
    for number, split in enumerate(("train", "val", "test")):
        jpeg(tmp_path / "images" / f"{number}.jpg", number)
        images.append({
            "filename": f"{number}.jpg", "split": split, "imgid": number,
            "sentences": [{"raw": "Two men.", "sentid": number, "tokens": []}],
        })  # fmt: skip
    karpathy(tmp_path, "dataset_flickr30k.json", images)
    flickr30k_captions(tmp_path, quiet)
    data = opened(coco_caption, tmp_path, tmp_path / "cache")
    assert data.splits == ("train", "val", "test")
    assert [s.sample_id for s in coco_caption.samples(data, "val")] == ["1"]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    folder = tmp_path / "annotations"
    folder.mkdir()
    images = [{"id": n, "file_name": f"{n:012}.jpg", "width": 8, "height": 8} for n in range(40)]
    for kind in ("captions", "instances"):
        rows = [{"id": n, "image_id": n % 40, "caption": f"caption {n}"} for n in range(80)]
        for part in ("train", "val"):
            (folder / f"{kind}_{part}2017.json").write_text(json.dumps({"images": images, "annotations": rows}))
    return tmp_path


def test_a_choice_of_images_holds_their_annotations_alone(coco: Path) -> None:
    before = (coco / "annotations/captions_train2017.json").read_bytes()
    names = choose_images(coco, "val", 7, 0)
    wanted = sorted((f"{n:012}.jpg" for n in range(40)), key=lambda n: hashlib.sha256(f"0/{n}".encode()).digest())[:7]
    assert names == sorted(wanted)
    for kind in ("captions", "instances"):
        content = json.loads((coco / f"annotations/{kind}_val2017.json").read_text())
        assert sorted(image["file_name"] for image in content["images"]) == names
        assert len(content["annotations"]) == 14
        assert {row["image_id"] for row in content["annotations"]} == {image["id"] for image in content["images"]}
    assert (coco / "annotations/captions_train2017.json").read_bytes() == before


def test_a_larger_choice_holds_the_smaller_one(coco: Path) -> None:
    larger = set(choose_images(coco, "val", 20, 3))
    assert set(choose_images(coco, "val", 5, 3)) < larger
    with pytest.raises(DataError, match="Get the part annotations too"):
        choose_images(coco, "test", 5, 3)


def test_maps_in_archives_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    with zipfile.ZipFile(tmp_path / "annotations/panoptic_val2017.zip", "w") as archive:
        archive.writestr("panoptic_val2017/1.png", b"png")
    unpack_maps(tmp_path, quiet)
    assert [path.name for path in (tmp_path / "annotations").iterdir()] == ["panoptic_val2017"]
    assert (tmp_path / "annotations/panoptic_val2017/1.png").read_bytes() == b"png"


def test_imagenet_becomes_class_folders(tmp_path: Path) -> None:
    ids = {1: "n02000001", 2: "n01000002", 1001: "n09999999"}
    kind = [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("num_children", "i4")]
    kit = tmp_path / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    savemat(kit / "meta.mat", {"synsets": np.array([(n, wnid, 0) for n, wnid in ids.items()], dtype=kind)})
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n1\n2\n")
    for number in (1, 2, 3):
        jpeg(tmp_path / f"val/ILSVRC2012_val_{number:08}.JPEG", number)
    for wnid in (ids[1], ids[2]):
        jpeg(tmp_path / "one.jpg", 9)
        with tarfile.open(tmp_path / f"{wnid}.tar", "w") as archive:
            archive.add(tmp_path / "one.jpg", f"{wnid}_1.JPEG")
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / f"{wnid}.tar").rename(tmp_path / f"train/{wnid}.tar")
    (tmp_path / "one.jpg").unlink()
    sort_validation(tmp_path, quiet)
    unpack_classes(tmp_path, quiet)
    assert sorted(p.relative_to(tmp_path / "val").as_posix() for p in (tmp_path / "val").rglob("*.JPEG")) == [
        "n01000002/ILSVRC2012_val_00000001.JPEG", "n01000002/ILSVRC2012_val_00000003.JPEG",
        "n02000001/ILSVRC2012_val_00000002.JPEG",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "val"]
    data = opened(image_classification, tmp_path, tmp_path / "cache")
    counts = {split: len(image_classification.samples(data, split)) for split in data.splits}
    assert sum(counts.values()) == 5 and counts["val"] == 3


def test_too_few_images_for_the_labels(tmp_path: Path) -> None:
    kit = tmp_path / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    kind = [("ILSVRC2012_ID", "i4"), ("WNID", "O")]
    savemat(kit / "meta.mat", {"synsets": np.array([(1, "n1"), (2, "n2")], dtype=kind)})
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n")
    with pytest.raises(DataError, match="has 0 images, and the development kit 1 labels"):
        sort_validation(tmp_path, quiet)
