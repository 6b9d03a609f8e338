"""Broken truth and broken detections: each is refused with its place, and no score comes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections
from harness.metrics.boxes.masks import compressed_rles, run_totals

SQUARE = [[1, 1, 9, 1, 9, 9, 1, 9]]


def instances(**changes: Any) -> dict[str, Any]:
    annotation = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 1, 8, 8], "area": 64, "iscrowd": 0}
    return {
        "images": [{"id": 7, "height": 20, "width": 30}, {"id": 8, "height": 20, "width": 30}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{**annotation, "segmentation": SQUARE, **changes}],
    }


def detection(**changes: Any) -> dict[str, Any]:
    entry = {"image_id": 7, "category_id": 3, "bbox": [1, 1, 8, 8], "score": 0.5, **changes}
    return {key: value for key, value in entry.items() if value is not ...}


def mask(height: int = 20, width: int = 30, **changes: Any) -> dict[str, Any]:
    from pycocotools.mask import encode

    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[2:9, 3:8] = 1
    rle = encode(pixels)
    return {"size": [height, width], "counts": rle["counts"].decode(), **changes}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (detection(image_id=9), r"results.json: entry 1 \(the first is 0\): image_id 9 is unknown"),
        (detection(image_id="7"), "entry 1 .*image_id '7' is unknown"),
        (detection(image_id=[7]), r"entry 1 .*image_id \[7\] is unknown"),
        (detection(category_id=4), "entry 1 .*category_id 4 is unknown"),
        (detection(category_id=None), "entry 1 .*category_id None is unknown"),
        (detection(score=math.nan), "entry 1 .*has score nan. It must be a finite number"),
        (detection(score=math.inf), "entry 1 .*has score inf"),
        (detection(score="0.5"), "entry 1 .*has score '0.5'"),
        (detection(score=None), "entry 1 .*has score None"),
        (detection(score=True), "entry 1 .*has score True"),
        (detection(score=10**400), "entry 1 .*has score 1000"),
        (detection(score=[0.5]), r"entry 1 .*has score \[0.5\]"),
        (detection(bbox=[1, 1, -1, 8]), r"entry 1 .*has bbox \[1, 1, -1, 8\]. .*width, height"),
        (detection(bbox=[1, 1, 8, -0.5]), "entry 1 .*has bbox"),
        (detection(bbox=[1, math.nan, 8, 8]), "entry 1 .*has bbox"),
        (detection(bbox=[1, 1, math.inf, 8]), "entry 1 .*has bbox"),
        (detection(bbox=[1, 1, 8]), "entry 1 .*has bbox"),
        (detection(bbox=[1, 1, 8, 8, 8]), "entry 1 .*has bbox"),
        (detection(bbox=[1, 1, 8, "8"]), "entry 1 .*has bbox"),
        (detection(bbox={"x": 1, "y": 1, "w": 8, "h": 8}), "entry 1 .*has bbox {'x'"),
        (detection(bbox=None), "entry 1 .*has bbox None"),
        (detection(bbox="1188"), "entry 1 .*has bbox '1188'"),
        (detection(bbox=...), "entry 1 .*has no 'bbox'; it has image_id, category_id, score"),
        (detection(score=...), "entry 1 .*has no 'score'"),
        (detection(image_id=...), "entry 1 .*has no 'image_id'"),
        ({}, "entry 1 .*has no 'image_id'; it has no keys"),
        ("entry", "entry 1 .*is str, not an object"),
    ],
)
def test_broken_detections_are_refused_by_number(entry: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_detections(DetectionTruth.whole(instances()), [detection(), entry], source="results.json")


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (mask(30, 20), r"entry 1 .*size \[30, 20\], its image is \[20, 30\]"),
        (mask(21, 30, size=[20, 30]), "entry 1 .*runs cover 630 pixels, its image of height 20 and width 30 has 600"),
        (mask(19, 30, size=[20, 30]), "entry 1 .*runs cover 570 pixels"),
        (mask(counts=""), "entry 1 .*runs break off"),
        (mask(counts=mask()["counts"][:-1] + "o"), "entry 1 .*runs break off"),
        (mask(counts=[0, 5, 596]), "entry 1 .*runs cover 601 pixels"),
        (mask(counts=[610, -10]), "entry 1 .*counts must be"),
        (mask(counts=None), "entry 1 .*counts must be"),
        (mask(counts="1`bP1"), "entry 1 .*runs cover"),
        (mask(size=None), "entry 1 .*size None"),
        (mask(size=20), "entry 1 .*size 20"),
        ([], r"entry 1 .*the mask is \[\]. It must be polygons or run lengths"),
        (None, "entry 1 .*the mask is None"),
        ([[1, 1, 2, 2]], r"entry 1 .*a polygon is \[1, 1, 2, 2\]"),
        ([[1, 1, 2, 2, 3, 3, 4]], "entry 1 .*a polygon is"),
        ([[1, 1, 2, 2, 3, math.nan]], "entry 1 .*a polygon is"),
        ([1, 1, 2, 2, 3, 3], "entry 1 .*a polygon is 1"),
        ([[1, 1, 2, 2, 3, 1e12]], "entry 1 .*far outside"),
    ],
)
def test_broken_masks_are_refused_by_number(segmentation: Any, message: str) -> None:
    truth = DetectionTruth.whole(instances())
    good, bad = detection(bbox=..., segmentation=mask()), detection(bbox=..., segmentation=segmentation)
    with pytest.raises(DataError, match=message):
        evaluate_detections(truth, [good, bad], "segm")
    with pytest.raises(DataError, match=message.replace("entry 1", "annotation 1").replace(" .*", ".*")):
        evaluate_detections(DetectionTruth.whole(instances(segmentation=segmentation)), [good], "segm")


def test_negative_run_whose_total_is_right_is_refused() -> None:
    with pytest.raises(DataError, match=r"entry 0: the mask cannot be read .*negative"):
        compressed_rles([{"size": [5, 6], "counts": b":Ki0"}], np.array([[5, 6]]), lambda number: f"entry {number}")


def test_masks_of_every_format_are_the_same() -> None:
    from pycocotools.mask import frPyObjects

    square = frPyObjects(SQUARE, 20, 30)[0]
    uncompressed = {"size": [20, 30], "counts": [21, *([8, 12] * 7), 8, 600 - 21 - 7 * 20 - 8]}
    formats = [SQUARE, square, {**square, "counts": square["counts"].decode()}, uncompressed]
    codes = [rle["counts"] for rle in compressed_rles(formats, np.array([[20, 30]] * 4), str)]
    assert codes == [square["counts"]] * 4


def test_run_totals_are_the_pixels_of_the_image() -> None:
    from pycocotools.mask import encode

    source = np.random.default_rng(0)
    codes, pixels = [], []
    for number in range(400):
        shape = source.integers(1, 400 if number % 20 == 0 else 30, 2)
        values = source.random(shape) < source.random()
        values = np.sort(values, axis=0) if number % 3 else values
        codes.append(encode(np.asfortranarray(values.astype(np.uint8)))["counts"])
        pixels.append(shape.prod())
    assert run_totals(codes).tolist() == pixels
    assert run_totals([b"", codes[0], b"o"]).tolist() == [-1, pixels[0], -1]
    assert run_totals([]).tolist() == []


def test_masks_with_and_without_boxes_do_not_mix() -> None:
    entries = [detection(segmentation=mask()), detection(bbox=..., segmentation=mask())]
    with pytest.raises(DataError, match="entry 0 has a bbox and entry 1 has none"):
        evaluate_detections(DetectionTruth.whole(instances()), entries, "segm")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, r"annotation 0 \(the first is 0\): image_id 9 is unknown"),
        ({"category_id": 9}, "category_id 9 is unknown"),
        ({"bbox": [0, 0, -1, 2]}, r"bbox \[0, 0, -1, 2\]"),
        ({"area": -1}, "area -1"),
        ({"area": math.nan}, "area nan"),
        ({"iscrowd": 2}, "iscrowd 2"),
        ({"id": None}, "has id None"),
    ],
)
def test_broken_annotations_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"val.json.*{message}"):
        evaluate_detections(DetectionTruth.whole(instances(**changes), "val.json"), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "no images, so there is nothing to score"),
        ({"images": [{"id": 7}, {"id": 7}]}, "image id 7 occurs more than once"),
        ({"images": [{"id": "7"}]}, "has id '7', not a whole number"),
        ({"images": [{"name": 7}]}, "image 0 .*has no 'id'"),
        ({"images": None}, "no list 'images'"),
        ({"categories": []}, "no categories"),
        ({"categories": [{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]}, "category id 3 occurs more than once"),
        ({"categories": [{"id": 3, "name": "a"}, {"id": 4, "name": "a"}]}, "category name 'a' occurs more than once"),
        ({"categories": [{"id": 3}]}, "category 0 .*has no 'name'"),
        ({"annotations": instances()["annotations"] * 2}, "annotation id 1 occurs more than once"),
        ({"annotations": {}}, "no list 'annotations'"),
    ],
)
def test_broken_truth_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_detections(DetectionTruth.whole({**instances(), **changes}), [])


def test_masks_need_the_size_of_images() -> None:
    broken = {**instances(), "images": [{"id": 7, "height": 20}, {"id": 8, "height": 2, "width": 2}]}
    with pytest.raises(DataError, match=r"image 7 has height and width \[20, None\]"):
        evaluate_detections(DetectionTruth.whole(broken), [], "segm")


def test_unknown_choices_are_refused() -> None:
    truth = DetectionTruth.whole(instances())
    with pytest.raises(UsageError, match=r"'hotcocoa'. Did you mean 'hotcoco'"):
        evaluate_detections(truth, [], engine="hotcocoa")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"'mask'. Known: bbox, segm"):
        evaluate_detections(truth, [], "mask")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no category with id 8"):
        evaluate_detections(truth, []).statistics(novel=[8])
    with pytest.raises(DataError, match="no image with id 12"):
        evaluate_detections(DetectionTruth(instances(), (7, 12)), [])
    with pytest.raises(DataError, match="image_id 8 is unknown"):  # known, but not one of these samples
        evaluate_detections(DetectionTruth(instances(), (7,)), [detection(image_id=8)])
