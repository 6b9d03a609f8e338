"""The files are true COCO: the reference tools read them and agree with the pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tasks.scenes import attribute_targets, layout
from tasks.scenes.attributes import attribute_names
from tasks.scenes.splits import SPLITS
from tests.tasks.scenes.conftest import SMALL, read

# pycocotools 2.0 does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("split", ["train", "count", "twins"])
def test_pycocotools_reads_the_masks(small_root: Path, split: str) -> None:
    coco = COCO(str(layout.annotation_file(small_root, "instances", split)))
    assert len(coco.getImgIds()) == SMALL
    assert len(coco.getCatIds()) == 40
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        assert int(mask.sum()) == annotation["area"]
        x, y, width, height = annotation["bbox"]
        assert int(mask[y : y + height, x : x + width].sum()) == annotation["area"]
        assert mask[y].any() and mask[y + height - 1].any() and mask[:, x].any() and mask[:, x + width - 1].any()
    captions = COCO(str(layout.annotation_file(small_root, "captions", split)))
    assert all(len(captions.getAnnIds(image)) == 5 for image in captions.getImgIds())


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_perfect_detections_score_one(small_root: Path, kind: str) -> None:
    truth = COCO(str(layout.annotation_file(small_root, "instances", "count")))
    keys = ("image_id", "category_id", "bbox", "segmentation")
    found = [{key: row[key] for key in keys} | {"score": 0.9} for row in truth.anns.values() if not row["iscrowd"]]
    evaluation = COCOeval(truth, truth.loadRes(found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1.0


@pytest.mark.parametrize("split", ["val", "count"])
def test_panoptic_maps_match_their_segments(small_root: Path, split: str) -> None:
    document = read(small_root, "panoptic", split)
    categories = {row["id"]: row for row in document["categories"]}
    assert len(categories) == 51
    for row in document["annotations"]:
        pixels = np.asarray(
            Image.open(layout.map_dir(small_root, "panoptic", split) / row["file_name"]), dtype=np.int64
        )
        ids = pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
        areas = {int(key): int(value) for key, value in zip(*np.unique(ids, return_counts=True), strict=True)}
        assert areas == {segment["id"]: segment["area"] for segment in row["segments_info"]}
        semantic = np.asarray(Image.open(layout.map_dir(small_root, "semantic", split) / row["file_name"]))
        for segment in row["segments_info"]:
            expected = 255 if segment["iscrowd"] else segment["category_id"]
            assert (semantic[ids == segment["id"]] == expected).all()


def test_hidden_objects_are_crowd(small_root: Path) -> None:
    rows = [row for split in SPLITS for row in read(small_root, "instances", split)["annotations"]]
    for row in rows:
        assert row["iscrowd"] == int(row["area"] * 100 < row["whole_area"] * 25)
    assert any(row["iscrowd"] for row in rows)


def test_ids_are_unique_over_splits(small_root: Path) -> None:
    seen: set[int] = set()
    for split in SPLITS:
        if split == "tiny":
            continue
        ids = {row["id"] for row in read(small_root, "instances", split)["images"]}
        assert len(ids) == SMALL and not ids & seen
        seen |= ids


def test_folders_have_the_names_that_coco_loaders_want(small_root: Path) -> None:
    assert (small_root / "annotations" / "captions_train2017.json").is_file()
    assert (small_root / "annotations" / "instances_val2017.json").is_file()
    for image in read(small_root, "instances", "train")["images"]:
        with Image.open(small_root / "train2017" / image["file_name"]) as picture:
            assert picture.size == (128, 128) == (image["width"], image["height"])
            assert picture.mode == "RGB"


def test_attribute_targets(small_root: Path) -> None:
    targets, names = attribute_targets(small_root, "train")
    assert targets.shape == (SMALL, len(attribute_names()))
    assert targets.dtype == np.int8
    assert names == attribute_names() and len(set(names)) == len(names)
    images = read(small_root, "captions", "train")["images"]
    for row, image in zip(targets, images, strict=True):
        assert row[names.index(f"count={len(image['facts']['objects'])}")] == 1
        for item in image["facts"]["objects"]:
            assert row[names.index(f"shape={item['shape']}")] == 1
    with pytest.raises(ValueError, match="training splits"):
        attribute_targets(small_root, "test")
