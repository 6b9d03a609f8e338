"""COCO's twelve numbers against pycocotools itself, bit for bit, and against the repeated corpus for resamples."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.boxes.detection import (
    DETECTION_METRICS,
    DetectionScores,
    DetectionTruth,
    evaluate_detections,
    per_class_boxes,
)
from harness.metrics.boxes.engines import Engine
from harness.metrics.boxes.matching import MatchedDetections

COCO_MINI = Path(__file__).parents[5] / "shared" / "data" / "coco-mini" / "annotations"
ENGINES: tuple[Engine, ...] = ("hotcoco", "pycocotools")
SIDE = 128
LIMITS = [(32.0, 32.0), (96.0, 96.0), (16.0, 64.0), (0.0, 9.0), (7.0, 0.0), (0.0, 0.0)]

Instances = dict[str, Any]
Detections = list[dict[str, Any]]


def pycocotools_itself(instances: Instances, detections: Detections, iou: str) -> Any:
    """The evaluator as its users run it, on copies of the same input."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(instances)
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(copy.deepcopy(detections)), iou)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def wild(seed: int, distinct_scores: bool = False) -> tuple[Instances, Detections]:
    """Boxes on a grid, so that IoUs tie; crowds, ties in score, crowded and empty images, odd ids, sizes on limits."""
    source = np.random.default_rng(seed)
    image_ids = source.permutation(np.arange(3, 80, 7))
    category_ids = [9, 2, 40, 5]  # nothing is ever of category 5
    annotations: list[dict[str, Any]] = []
    detections: Detections = []
    for number, image_id in enumerate(image_ids.tolist()):
        if number == 0:
            continue  # an image without anything
        for _ in range(0 if number == 1 else int(source.integers(0, 9))):
            box = random_box(source)
            category = int(source.choice(category_ids[:3], p=[0.6, 0.3, 0.1]))
            crowd = int(source.random() < 0.2)
            annotations.append(
                {"image_id": image_id, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
            )
        for _ in range(250 if number == 2 else int(source.integers(0, 25))):
            own = [a for a in annotations if a["image_id"] == image_id]
            near = own[int(source.integers(len(own)))] if own and source.random() < 0.7 else None
            box = random_box(source) if near is None else [float(v) for v in near["bbox"] + source.integers(-2, 3, 4)]
            category = 9 if near is None else near["category_id"]
            score = float(source.random() if distinct_scores else source.integers(0, 6) / 8)
            box[2], box[3] = max(box[2], 0.0), max(box[3], 0.0)
            detections.append({"image_id": image_id, "category_id": category, "bbox": box, "score": score})
    for number, annotation in enumerate(annotations):
        annotation["id"] = number + 1
    images = [{"id": image_id, "height": SIDE, "width": SIDE} for image_id in image_ids.tolist()]
    categories = [{"id": number, "name": f"class {number}"} for number in category_ids]
    order = source.permutation(len(detections))
    return {"images": images, "annotations": annotations, "categories": categories}, [detections[i] for i in order]


def random_box(source: np.random.Generator) -> list[float]:
    width, height = source.integers(1, 25, 2) * 4.0
    if source.random() < 0.3:
        width, height = LIMITS[source.integers(len(LIMITS))]
    return [float(source.integers(0, 8) * 4), float(source.integers(0, 8) * 4), float(width), float(height)]


def with_masks(instances: Instances, detections: Detections, with_boxes: bool) -> tuple[Instances, Detections]:
    """The same objects as masks: polygons and run lengths of the boxes' left upper triangles and their inside."""
    from pycocotools import mask

    for number, annotation in enumerate(instances["annotations"]):
        pixels = triangle(annotation["bbox"])
        annotation["area"] = float(pixels.sum())
        annotation["segmentation"] = (
            polygon(annotation["bbox"]) if number % 3 else {"size": [SIDE, SIDE], "counts": runs(pixels)}
        )
    for number, detection in enumerate(detections):
        rle = mask.encode(np.asfortranarray(triangle(detection["bbox"])))
        detection["segmentation"] = {**rle, "counts": rle["counts"].decode()} if number % 2 else rle
        if not with_boxes:
            del detection["bbox"]
    return instances, detections


def triangle(box: list[float]) -> np.ndarray:
    x, y, width, height = box
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    inside = (columns >= x) & (rows >= y) & (columns < x + width) & (rows < y + height)
    return (inside & (columns - x + rows - y <= max(width, height))).astype(np.uint8)


def polygon(box: list[float]) -> list[list[float]]:
    x, y, width, height = box
    return [[x, y, x + width, y, x, y + height], [x + 1.5, y + 0.5, x + width, y, x + 2, y + height / 2]]


def runs(pixels: np.ndarray) -> list[int]:
    flat = pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
    return [int(run) for run in np.diff(changes, prepend=0)]


def assert_equals_pycocotools(instances: Instances, detections: Detections, iou: Any) -> None:
    peer = pycocotools_itself(instances, detections, iou)
    for engine in ENGINES:
        assert_equals(peer, instances, detections, iou, engine)


def assert_equals(peer: Any, instances: Instances, detections: Detections, iou: Any, engine: Engine) -> None:
    scores = evaluate_detections(DetectionTruth.whole(instances), detections, iou, engine)
    np.testing.assert_array_equal(scores.precision, peer.eval["precision"])
    np.testing.assert_array_equal(scores.recall, peer.eval["recall"])
    values = scores.statistics()
    assert tuple(values) == DETECTION_METRICS
    assert [-1 if s is None else s.value for s in values.values()] == peer.stats.tolist()
    ones = np.ones((1, len(instances["images"])), dtype=np.int64)
    for score in values.values():
        assert score is None or score.resample(ones)[0] == pytest.approx(score.value, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_boxes_equal_pycocotools(seed: int) -> None:
    assert_equals_pycocotools(*wild(seed), "bbox")


@pytest.mark.parametrize("with_boxes", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_masks_equal_pycocotools(seed: int, with_boxes: bool) -> None:
    assert_equals_pycocotools(*with_masks(*wild(seed), with_boxes), "segm")


coordinates = st.sampled_from([0.0, 1.0, 10.5, 32.0, 96.0, 1e-9, 1e6]) | st.floats(0, 1e4)
boxes = st.lists(coordinates, min_size=4, max_size=4)
objects = st.tuples(st.integers(0, 3), st.integers(1, 2), boxes, st.integers(0, 1))
results = st.tuples(
    st.integers(0, 3), st.integers(1, 2), boxes, st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-1e3, 1e3)
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(objects, max_size=12), st.lists(results, min_size=1, max_size=12))
def test_any_boxes_equal_pycocotools(truth: list[Any], found: list[Any]) -> None:
    keys = ("image_id", "category_id", "bbox", "iscrowd")
    instances = {
        "images": [{"id": number} for number in range(4)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {**dict(zip(keys, row, strict=True)), "id": number + 1, "area": row[2][2] * row[2][3]}
            for number, row in enumerate(truth)
        ],
    }
    detections = [dict(zip(("image_id", "category_id", "bbox", "score"), row, strict=True)) for row in found]
    assert_equals_pycocotools(instances, detections, "bbox")


@pytest.mark.parametrize(("split", "iou"), [("val2017", "bbox"), ("val2017", "segm"), ("train2017", "segm")])
def test_real_photographs_equal_pycocotools(split: str, iou: str) -> None:
    path = COCO_MINI / f"instances_{split}.json"
    if not path.is_file():
        pytest.skip("no coco-mini beside the repository")
    instances = json.loads(path.read_text())
    assert_equals_pycocotools(instances, perturbed(instances, iou), iou)


def perturbed(instances: Instances, iou: str) -> Detections:
    """Each object moved and resized a little, twice; masks shifted by whole pixels; one in eight of another class."""
    from hotcoco import mask  # pycocotools' decode warns of NumPy 2
    from pycocotools.coco import COCO

    source = np.random.default_rng(5)
    sizes = {image["id"]: (image["height"], image["width"]) for image in instances["images"]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(instances)
        coco.createIndex()
    detections = []
    for annotation in instances["annotations"]:
        entry = {"image_id": annotation["image_id"], "category_id": annotation["category_id"]}
        if source.random() < 0.125:
            entry["category_id"] = int(source.choice([category["id"] for category in instances["categories"]]))
        if iou == "segm":
            pixels = np.roll(mask.decode(coco.annToRLE(annotation)), source.integers(-6, 7, 2), axis=(0, 1))
            rle = mask.encode(np.asfortranarray(pixels))
            entry["segmentation"] = {"size": list(sizes[entry["image_id"]]), "counts": rle["counts"].decode()}
            detections.append({**entry, "score": float(source.integers(0, 50) / 50)})
            continue
        for spread in (0.05, 0.3):
            x, y, width, height = annotation["bbox"]
            shift = source.normal(0, spread, 4) * [width, height, width, height]
            box = [x + shift[0], y + shift[1], max(width + shift[2], 0), max(height + shift[3], 0)]
            detections.append({**entry, "bbox": box, "score": float(source.integers(0, 50) / 50)})
    return detections


@pytest.mark.parametrize("engine", ENGINES)
def test_no_detections_score_zero_where_there_is_truth(engine: Engine) -> None:
    instances, _ = wild(1)
    statistics = evaluate_detections(DetectionTruth.whole(instances), [], "bbox", engine).statistics()
    assert statistics["AP"] is not None
    assert statistics["AP"].value == 0
    assert statistics["AP"].resample(np.ones((2, len(instances["images"])), dtype=np.int64)).tolist() == [0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_truth_is_absent_and_not_zero(engine: Engine) -> None:
    instances, detections = wild(1)
    scores = evaluate_detections(DetectionTruth.whole({**instances, "annotations": []}), detections, "bbox", engine)
    assert set(scores.statistics(novel=[9]).values()) == {None}
    assert set(per_class_boxes(scores).values()) == {None}


def by_hand() -> tuple[Instances, Detections]:
    objects = [(1, 1, [0, 0, 10, 10]), (2, 1, [0, 0, 10, 10]), (2, 2, [50, 50, 40, 40])]
    annotations = [
        {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, category, box) in enumerate(objects)
    ]
    instances = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": annotations,
    }
    detections = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [70, 70, 10, 10], "score": 0.8},
        {"image_id": 2, "category_id": 1, "bbox": [0, 0, 10, 6], "score": 0.7},
    ]
    return instances, detections


@pytest.mark.parametrize("engine", ENGINES)
def test_by_hand(engine: Engine) -> None:
    # Cats: the surest is right, the next wrong, the last has IoU 6/10. At IoU .5, .55 and .6 precision is 1 up to
    # recall 1/2 (51 of 101 recalls) and 2/3 above (50); at the other seven it is 1 and then 0. Dogs: none found.
    # Annotation 0 is found: an id of 0 must not be taken for "no match".
    scores = evaluate_detections(DetectionTruth.whole(by_hand()[0]), by_hand()[1], "bbox", engine)
    low, high = (51 + 50 * 2 / 3) / 101, 51 / 101
    statistics = scores.statistics(novel=[2])
    expected = {
        "AP": (3 * low + 7 * high) / 20,
        "AP50": low / 2,
        "AP75": high / 2,
        "AP-small": (3 * low + 7 * high) / 10,
        "AP-medium": 0,
        "AR-1": (3 * 1 + 7 * 0.5) / 20,
        "AP-base": (3 * low + 7 * high) / 10,
        "AP-novel": 0,
    }
    assert {n: s.value for n, s in statistics.items() if s and n in expected} == pytest.approx(expected)
    assert statistics["AP-large"] is None
    cats = per_class_boxes(scores)["per-class:cat"]
    assert cats is not None
    assert cats.value == pytest.approx(expected["AP-base"])
    # Image 1 alone: the cat is found first. Image 2 alone: found at three of ten IoUs; the dog is not.
    assert cats.per_sample == pytest.approx([1, 0.3])
    assert statistics["AP"].per_sample == pytest.approx([1, 0.15])
    # Image 1 twice and image 2 once: three cats, recall 2/3 with precision 1, then 3 of 5 counted: 67 and 34 recalls.
    assert statistics["AP50"].resample(np.array([[2, 1]]))[0] == pytest.approx((67 + 34 * 3 / 5) / 101 / 2)
    # Without image 2 there is no dog, so the cats alone are the mean; without image 1 there is no cat found at .75.
    assert statistics["AP75"].resample(np.array([[1, 0], [0, 3]])) == pytest.approx([1, 0])
    assert np.isnan(statistics["AP-medium"].resample(np.array([[1, 0]])))
    assert np.isnan(statistics["AP-medium"].per_sample).tolist() == [True, False]


def repeated(instances: Instances, detections: Detections, counts: np.ndarray) -> tuple[Instances, Detections]:
    """The corpus with each image, in the order of the file, as often as it was drawn."""
    images, annotations, found = [], [], []
    for image, count in zip(instances["images"], counts.tolist(), strict=True):
        for number in range(count):
            copied = image["id"] * 100 + number
            images.append({**image, "id": copied})
            annotations += [{**a, "image_id": copied} for a in instances["annotations"] if a["image_id"] == image["id"]]
            found += [{**d, "image_id": copied} for d in detections if d["image_id"] == image["id"]]
    annotations = [{**annotation, "id": number + 1} for number, annotation in enumerate(annotations)]
    return {**instances, "images": images, "annotations": annotations}, found


@pytest.mark.parametrize("iou", ["bbox", "segm"])
def test_resample_equals_the_repeated_corpus(iou: Any) -> None:
    instances, detections = wild(7, distinct_scores=True)
    if iou == "segm":
        instances, detections = with_masks(instances, detections, with_boxes=False)
    number = len(instances["images"])
    counts = np.random.default_rng(0).multinomial(number, [1 / number] * number, size=8)
    scores = evaluate_detections(DetectionTruth.whole(instances), detections, iou)
    statistics = {**scores.statistics(novel=[2, 5]), **per_class_boxes(scores)}
    for row in counts:
        drawn = repeated(instances, detections, row)
        again = evaluate_detections(DetectionTruth.whole(drawn[0]), drawn[1], iou)
        expected = {**again.statistics(novel=[2, 5]), **per_class_boxes(again)}
        for name, score in statistics.items():
            if score is not None:
                wanted = expected[name]
                value = np.nan if wanted is None else wanted.value
                assert score.resample(row[None])[0] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_per_sample_equals_each_image_alone_and_follows_the_order_of_samples() -> None:
    instances, detections = wild(3)
    order = tuple(image["id"] for image in reversed(instances["images"][:9]))
    kept = [detection for detection in detections if detection["image_id"] in order]
    statistics = evaluate_detections(DetectionTruth(instances, order), kept).statistics()
    for number, image_id in enumerate(order):
        own = [detection for detection in kept if detection["image_id"] == image_id]
        alone = evaluate_detections(DetectionTruth(instances, (image_id,)), own).statistics()
        for name, score in statistics.items():
            if score is not None:
                value = getattr(alone[name], "value", np.nan)
                assert score.per_sample[number] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_chunks_do_not_change_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    instances, detections = wild(2)
    counts = np.random.default_rng(1).integers(0, 4, size=(17, len(instances["images"])))

    def scored() -> Mapping[str, Any]:
        statistics = evaluate_detections(DetectionTruth.whole(instances), detections).statistics()
        return {n: (s.resample(counts).tolist(), s.per_sample.tolist()) for n, s in statistics.items() if s}

    whole = scored()
    monkeypatch.setattr("harness.metrics.boxes.interpolation._BLOCK_ELEMENTS", 300)
    monkeypatch.setattr("harness.metrics.boxes.resampling._SAMPLES_AT_ONCE", 2)
    for name, parts in scored().items():
        np.testing.assert_allclose(parts[0], whole[name][0], atol=1e-13)
        np.testing.assert_allclose(parts[1], whole[name][1], atol=1e-13)


def test_matches_only_what_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    match = MatchedDetections._match
    monkeypatch.setattr(MatchedDetections, "_match", lambda own, area: asked.append(area) or match(own, area))
    scores: DetectionScores = evaluate_detections(DetectionTruth.whole(wild(0)[0]), wild(0)[1])
    statistics = scores.statistics(novel=[2])
    assert asked == []
    ones = np.ones((1, len(wild(0)[0]["images"])), dtype=np.int64)
    for name in ("AP", "AP50", "AR-1", "AP-novel"):
        score = statistics[name]
        assert score is not None
        score.resample(ones)
    assert asked == ["all"]
