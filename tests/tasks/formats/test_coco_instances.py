"""COCO instances: read as pycocotools reads them, and each flaw named with its file and annotation."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from harness.errors import DataError
from tasks.formats.coco_entries import require_image_sizes, require_same_categories
from tasks.formats.coco_instances import Instances, digest_of_instances, image_labels, read_instances
from tasks.formats.coco_layout import find_instance_files

from .coco_content import to_coco_dict

Folder = Any


def read(folder: Folder) -> Instances:
    return read_instances(folder.file.annotations, folder.file.images)


def test_a_small_file_is_read_as_it_stands(instances: Folder) -> None:
    found = read(instances)
    assert [image.image_id for image in found.images] == [30, 10, 20]
    assert [image.path.name for image in found.images] == ["30.png", "10.png", "20.png"]
    assert [(c.category_id, c.name, c.extra) for c in found.categories] == [
        (2, "cat", {"supercategory": "animal"}),
        (5, "dog", {"supercategory": "animal", "tier": "base"}),
    ]
    crowd, two, none = found.objects
    assert (len(crowd), len(two), len(none)) == (1, 2, 0)
    assert crowd.iscrowd.tolist() == [True]
    assert two.annotation_ids.tolist() == [1, 3]
    assert two.category_index.tolist() == [1, 0]
    assert two.areas.tolist() == [12.0, 10.0]
    assert two.boxes.dtype == np.float64
    assert two.boxes.tolist() == [[2, 1, 4, 3], [0, 0, 1, 10]]
    assert two.stated_boxes.tolist() == [[2, 1, 4, 3], [-0.5, 0, 1.5, 10.25]]
    assert two.segmentations == ([[2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]], None)
    assert none.boxes.shape == (0, 4)
    assert found.notes == ()


def test_labels_of_images_by_hand(instances: Folder) -> None:
    found = read(instances)
    labels = image_labels(found)
    assert labels.dtype == np.int8
    assert labels.tolist() == [[1, 0], [1, 1], [0, 0]]
    unknown = Instances(found.images, found.objects, found.categories, found.sources, crowd_label=-1)
    assert image_labels(unknown).tolist() == [[-1, 0], [1, 1], [0, 0]]


def test_images_need_not_be_there_when_none_are_wanted(instances: Folder) -> None:
    for path in instances.file.images.iterdir():
        path.unlink()
    found = read_instances(instances.file.annotations, None)
    assert found.images[0].path == Path("30.png")
    assert len(digest_of_instances(found)) == 64


def ann(position: int, **change: Any) -> Callable[[Any], None]:
    return lambda content: content["annotations"][position].update(change)


def without(key: str, position: int, name: str) -> Callable[[Any], None]:
    return lambda content: content[key][position].pop(name) and None


RLE = {"size": [10, 20], "counts": [200]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [1], "has no list 'images'"),
        (lambda c: c.update(annotations=None), "has no list 'annotations'"),
        (lambda c: c.update(categories=[]), "lists no category"),
        (lambda c: c.update(images=[]), "lists no image: there is nothing to evaluate"),
        (lambda c: c["annotations"].append(7), r"annotations\[3\] is 7; wanted an object"),
        (without("images", 1, "width"), r"images\[1\] lacks 'width'"),
        (lambda c: c["images"][1].update(height=0), r"images\[1\] \(id 10\) has the size 20 x 0"),
        (lambda c: c["images"][1].update(height=9.5), r"images\[1\] has 9.5 as its 'height'; wanted a whole number"),
        (lambda c: c["images"][1].update(id="10"), r"images\[1\] has '10' as its 'id'; wanted a whole number"),
        (lambda c: c["images"][2].update(id=30), r"images\[2\] repeats the id 30"),
        (lambda c: c["images"][1].update(file_name=5), r"images\[1\] has 5 as its 'file_name'; wanted a string"),
        (lambda c: c["images"][1].update(file_name="../x.png"), r"images\[1\] .*not inside the image folder"),
        (lambda c: c["images"][1].update(file_name="/x.png"), r"images\[1\] .*not inside the image folder"),
        (lambda c: c["images"][1].update(file_name="a\0.png"), r"images\[1\] .*not inside the image folder"),
        (lambda c: c["images"][1].update(file_name="no.png"), r"names 1 of 3 files .*looked for .*/no.png"),
        (without("categories", 0, "name"), r"categories\[0\] lacks 'name'"),
        (lambda c: c["categories"][1].update(id=5), r"categories\[1\] repeats the id 5"),
        (lambda c: c["categories"][1].update(name="dog"), r"categories\[1\] repeats the name 'dog'"),
        (without("annotations", 0, "bbox"), r"annotations\[0\] lacks 'bbox'"),
        (without("annotations", 0, "category_id"), r"annotations\[0\] lacks 'category_id'"),
        (ann(2, iscrowd=2), r"annotations\[2\] has 2 as its 'iscrowd'; wanted 0 or 1"),
        (ann(2, iscrowd=True), r"annotations\[2\] has True as its 'iscrowd'; wanted 0 or 1"),
        (ann(2, id=1), r"annotations\[2\] repeats the id 1"),
        (ann(2, image_id=9), r"annotation 3 of image 9 has 9 as its 'image_id', .*not among the file's images"),
        (ann(2, category_id=9), r"annotation 3 of image 10 has 9 as its 'category_id', .*not among .*categories"),
        (ann(2, bbox=[1, 2, 3]), r"annotation 3 of image 10 has the box \[1, 2, 3\]; wanted \[x, y, width, height\]"),
        (ann(2, bbox=[1, 2, 3, "4"]), r"annotation 3 of image 10 has the box \[1, 2, 3, '4'\]"),
        (ann(2, bbox=[1, 2, True, 4]), r"annotation 3 of image 10 has the box \[1, 2, True, 4\]"),
        (ann(2, bbox=None), "annotation 3 of image 10 has the box None"),
        (ann(2, bbox=[float("nan"), 2, 3, 4]), r"annotation 3 of image 10 has the box \[nan, 2, 3, 4\]"),
        (ann(2, bbox=[1, 2, float("inf"), 4]), r"annotation 3 of image 10 has the box \[1, 2, inf, 4\]"),
        (ann(2, bbox=[1, 2, 10**400, 4]), "annotation 3 of image 10 has the box"),
        (ann(2, bbox=[1, 2, -3, 4]), "annotation 3 of image 10 .*has a negative size"),
        (ann(2, bbox=[1, 2, 3, 0]), r"annotation 3 of image 10 .*has no area \(image 20 x 10 px"),
        (ann(2, bbox=[20, 2, 3, 4]), "annotation 3 of image 10 .*is entirely outside the image"),
        (ann(2, bbox=[-3, 2, 3, 4]), "annotation 3 of image 10 .*is entirely outside the image"),
        (ann(2, bbox=[1, 2, 3, 9.5]), "annotation 3 of image 10 .*sticks out of the image by 1.50 px, more than 1"),
        (ann(2, bbox=[-1.25, 2, 3, 4]), "annotation 3 of image 10 .*sticks out of the image by 1.25 px"),
        (ann(0, segmentation={"size": [20, 10], "counts": [200]}), r"annotation 1 .*size \[20, 10\]; .*\[10, 20\]"),
        (ann(0, segmentation={"size": [10, 20]}), "annotation 1 .*counts None; wanted a string or a list"),
        (ann(0, segmentation={**RLE, "counts": [150]}), "annotation 1 .*fill 150 pixels; wanted 200"),
        (ann(0, segmentation={**RLE, "counts": [300, -100]}), "annotation 1 .*run lengths that fill"),
        (ann(0, segmentation={**RLE, "counts": "\x01"}), "annotation 1 .*run lengths that fill"),
        (ann(0, segmentation=[[1, 2, 3, 4]]), "annotation 1 .*polygon of 4 numbers; wanted .*at least 3 points"),
        (ann(0, segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "annotation 1 .*polygon of 7 numbers"),
        (ann(0, segmentation=[[1, 2, 3, 4, 5, float("nan")]]), "annotation 1 .*not finite numbers"),
        (ann(0, segmentation=[[1, 2, 3, 4, 5, "6"]]), "annotation 1 .*not finite numbers"),
        (ann(0, segmentation=[1, 2, 3, 4, 5, 6]), "annotation 1 .*has 1 as a polygon"),
        (ann(0, segmentation="mask"), "annotation 1 .*has the segmentation 'mask'"),
        (without("annotations", 2, "area"), "annotation 3 .*neither 'area' nor 'segmentation'"),
        (ann(2, area=-1), "annotation 3 of image 10 has -1 as its 'area'; wanted px², at least 0"),
        (ann(2, area=float("nan")), "annotation 3 of image 10 has nan as its 'area'"),
        (ann(2, area="12"), "annotation 3 of image 10 has '12' as its 'area'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(change: Callable[[Any], Any], message: str, instances: Folder) -> None:
    path = instances.edit(change)
    with pytest.raises(DataError, match=rf"{path}.*{message}") as raised:
        read(instances)
    assert str(raised.value).endswith("."), "the remedy is a sentence"


def test_a_missing_area_is_that_of_the_mask(instances: Folder) -> None:
    def change(content: Any) -> None:
        del content["annotations"][0]["area"], content["annotations"][1]["area"]

    instances.edit(change)
    found = read(instances)
    assert found.objects[1].areas[0] == 12
    assert found.objects[0].areas[0] == 11


def test_an_annotation_that_does_not_say_iscrowd_is_none_and_counted(instances: Folder) -> None:
    before = read(instances)
    instances.edit(lambda c: c["annotations"][0].pop("iscrowd") and None)
    found = read(instances)
    assert [o.iscrowd.tolist() for o in found.objects] == [o.iscrowd.tolist() for o in before.objects]
    assert list(map(str, found.notes)) == ["1 of 3 annotations do not say 'iscrowd' and are taken for no crowds"]
    instances.edit(lambda c: c["annotations"][1].update(iscrowd="1"))
    with pytest.raises(DataError, match=r"annotations\[1\] has '1' as its 'iscrowd'; wanted 0 or 1"):
        read(instances)


def test_cocos_own_empty_boxes_are_left_out_and_noted(instances: Folder) -> None:
    def change(content: Any) -> None:
        content["images"].append({"id": 200365, "file_name": "30.png", "width": 640, "height": 480})
        row = {"image_id": 200365, "category_id": 5, "bbox": [296.65, 388.33, 1.03, 0.0], "area": 0.0, "iscrowd": 0}
        content["annotations"].append(row | {"id": 918})

    instances.edit(change)
    found = read(instances)
    assert len(found.objects[3]) == 0
    assert str(found.notes[0]) == "1 of COCO's own boxes have no height and are left out"
    instances.edit(lambda c: c["annotations"][-1].update(id=919))
    with pytest.raises(DataError, match=r"annotation 919 .*has no area"):
        read(instances)


def test_categories_must_agree_between_splits(instances: Folder) -> None:
    first = read(instances).categories
    instances.edit(lambda c: c["categories"].reverse())
    require_same_categories(first, read(instances).categories, instances.file.annotations)
    path = instances.edit(lambda c: c["categories"][0].update(name="cow"))
    with pytest.raises(DataError, match=rf"{path} lacks the category 2 'cat'"):
        require_same_categories(first, read(instances).categories, path)


def test_sizes_are_those_of_the_upright_image(instances: Folder) -> None:
    found = read(instances)
    require_image_sizes(found.images, instances.file.annotations)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(found.images[1].path, exif=exif)
    with pytest.raises(DataError, match=r"10.png is 10 x 20 px once turned as its EXIF says, .*states 20 x 10"):
        require_image_sizes(found.images, instances.file.annotations)


def test_the_digest_follows_annotations_and_images(instances: Folder) -> None:
    first = digest_of_instances(read(instances))
    assert first == digest_of_instances(read(instances))
    instances.edit(lambda c: c["annotations"][0].update(area=13))
    second = digest_of_instances(read(instances))
    path = instances.file.images / "20.png"
    path.write_bytes(path.read_bytes() + b"\0")
    assert len({first, second, digest_of_instances(read(instances))}) == 3


def loaded(content: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_annotations_survive_the_way_to_pycocotools(split: str, mini: Path) -> None:
    file = find_instance_files(mini)[split]
    found = read_instances(file.annotations, file.images)
    original = json.loads(file.annotations.read_bytes())
    assert [image.image_id for image in found.images] == [image["id"] for image in original["images"]]
    mine = {row["id"]: row for row in to_coco_dict(found)["annotations"]}
    assert len(mine) == len(original["annotations"])
    for row in original["annotations"]:
        assert mine[row["id"]] == {key: row[key] for key in mine[row["id"]]}
        assert "segmentation" in mine[row["id"]]
    coco = loaded(to_coco_dict(found))
    drawn = [rle.area(coco.annToRLE(row)) for row in coco.loadAnns(coco.getAnnIds())[:100]]
    theirs = loaded(original)
    assert drawn == [rle.area(theirs.annToRLE(row)) for row in theirs.loadAnns(coco.getAnnIds())[:100]]
    require_image_sizes(found.images, file.annotations)


def test_real_multi_labels_are_those_of_a_plain_loop(mini: Path) -> None:
    file = find_instance_files(mini)["val"]
    found = read_instances(file.annotations, file.images)
    original = json.loads(file.annotations.read_bytes())
    expected = np.zeros((len(original["images"]), 80), np.int8)
    rows = {image["id"]: i for i, image in enumerate(original["images"])}
    columns = {category["id"]: i for i, category in enumerate(original["categories"])}
    for annotation in original["annotations"]:
        expected[rows[annotation["image_id"]], columns[annotation["category_id"]]] = 1
    np.testing.assert_array_equal(image_labels(found), expected)


def test_scored_against_itself_it_is_perfect(mini: Path) -> None:
    hotcoco = pytest.importorskip("hotcoco")
    file = find_instance_files(mini)["val"]
    content = to_coco_dict(read_instances(file.annotations, file.images))
    results = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "bbox": row["bbox"], "score": 0.9}
        for row in content["annotations"]
        if not row["iscrowd"]
    ]
    truth = hotcoco.COCO(content)
    evaluation = hotcoco.COCOeval(truth, truth.load_res(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1.0


def test_scenes_are_read(scenes: Path) -> None:
    files = find_instance_files(scenes)
    assert set(files) == {"train", "val", "novel-hard"}
    for file in files.values():
        found = read_instances(file.annotations, file.images)
        assert len(found.images) == 8
        assert len(found.categories) == 40
        masks = [mask for objects in found.objects for mask in objects.segmentations]
        areas = np.concatenate([objects.areas for objects in found.objects])
        assert areas.tolist() == [rle.area(mask) for mask in masks]
        assert "tier" in found.categories[0].extra
