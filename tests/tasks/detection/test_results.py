"""Detections made elsewhere, in COCO's format: scored as pycocotools does, and each flaw named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.metrics.boxes.detection import DETECTION_METRICS
from harness.protocols import DataContext, open_data
from harness.records.score_file import score_file
from harness.sample import Outcome
from tasks.detection.task import coco_detection

from .coco_peer import MakeContext, expected_of, perfect, pycocotools_itself, scored


@pytest.mark.parametrize("iou", ["bbox", "segm"])
@pytest.mark.parametrize("alone", [False, True])
def test_results_made_elsewhere_are_scored_as_pycocotools_does(
    iou: str, alone: bool, coco_mini: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    from pycocotools import mask

    truth = coco_mini / "annotations/instances_val2017.json"
    content = json.loads(truth.read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    source = np.random.default_rng(3)
    results = []
    for row in content["annotations"]:
        for _ in range(int(source.integers(0, 3))):
            # Thirds of a pixel: a box that went through fractions and back would not be the same to the last bit.
            x, y, w, h = (np.array(row["bbox"]) + source.integers(-9, 10, 4) / 3).tolist()
            entry = {"image_id": row["image_id"], "category_id": row["category_id"], "score": source.integers(5) / 4}
            if iou == "bbox":
                entry["bbox"] = [x, y, max(w, 1.0), max(h, 1.0)]
            else:
                code = mask.frPyObjects([[x, y, x + w + 2, y, x + w, y + h + 2]], *sizes[row["image_id"]])[0]
                entry["segmentation"] = {**code, "counts": code["counts"].decode()}
            results.append(entry)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results, default=float))
    results = json.loads(path.read_text())
    if alone:
        data, samples = coco_detection.read_references(truth)
        data = replace(data, scoring={"iou": iou})
    else:
        data = open_data(coco_detection, open_context(coco_mini, iou=iou))
        samples = coco_detection.samples(data, "val")
    scores = score_file(coco_detection, coco_detection.read_predictions(path, data), (data, samples), 5, tmp_path)
    found = {name: scores.metrics[name] for name in DETECTION_METRICS}
    expected = expected_of(pycocotools_itself(truth, results, iou))
    assert {name: None if e is None else e.value for name, e in found.items()} == expected
    assert f"coco:{iou}" in scores.signature
    outcomes = coco_detection.read_predictions(path, data)
    assert json.loads(json.dumps([o.prediction for o in outcomes])) == [o.prediction for o in outcomes]


def test_references_alone_are_scored_without_images(coco_folder: Path) -> None:
    data, samples = coco_detection.read_references(coco_folder / "annotations/instances_val.json")
    assert (data.name, data.layout, data.splits, len(samples)) == ("instances_val", "references", ("all",), 3)
    with_novel = replace(data, options={**data.options, "novel": "cat"})
    found = scored(with_novel, samples, [perfect(sample) for sample in samples])
    assert (found["AP-base"], found["AP-novel"], found["AP:cat"]) == (1, 1, 1)
    for option, message in (("iou", "--iou best: unknown"), ("metric_engine", "--metric-engine best: unknown")):
        with pytest.raises(UsageError, match=message):
            coco_detection.scorer(replace(data, scoring={option: "best"}), Path())


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(rows))
    return path


ROW = {"image_id": 5, "category_id": 7, "score": 0.5, "bbox": [1, 2, 20, 10]}


MASK = {"image_id": 5, "category_id": 7, "score": 0.5, "segmentation": {"size": [30, 40], "counts": "0`U1"}}


def test_images_without_an_entry_have_no_detection(
    coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    samples = coco_detection.samples(data, "val")
    outcomes = coco_detection.read_predictions(write(tmp_path, [ROW]), data)
    assert outcomes == [Outcome("5", {"px": [[1, 0.5, 1.0, 2.0, 20.0, 10.0]]})]
    found = scored(data, samples, outcomes)
    # One of two dogs found, none of two cats: precision 1 up to recall 1/2, which 51 of 101 points reach.
    assert found["AP"] == pytest.approx(51 / 101 / 2) and found["AP:cat"] == 0.0


def test_an_empty_list_finds_nothing(coco_folder: Path, open_context: MakeContext, tmp_path: Path) -> None:
    for iou in ("bbox", "segm"):
        data = open_data(coco_detection, open_context(coco_folder, iou=iou))
        samples, path = coco_detection.samples(data, "val"), tmp_path / "none.json"
        path.write_text("[]")
        with coco_detection.scorer(data, tmp_path) as scorer:
            found = scorer.score(samples, coco_detection.read_predictions(path, data))
            notes = list(map(str, scorer.notes(samples, [])))
        assert found["AP"].value == 0.0 and found["AR-100"].value == 0.0
        assert notes == ["3 of 3 images have no detection in the results"]


def test_detections_beyond_the_hundredth_of_a_class_are_counted(
    coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    samples, path = coco_detection.samples(data, "val"), tmp_path / "many.json"
    path.write_text(json.dumps([{**ROW, "score": i / 300} for i in range(130)] + [{**ROW, "category_id": 3}] * 101))
    with coco_detection.scorer(data, tmp_path) as scorer:
        notes = scorer.notes(samples, coco_detection.read_predictions(path, data))
    assert (notes[1].count, notes[1].total) == (31, 231)
    assert "31 of 231 detections (13.4%) are beyond the 100 best of a class in an image" in str(notes[1])


def voc_results(voc_folder: Path, context: DataContext, ids: Sequence[Any], path: Path) -> tuple[float, list[str]]:
    """AP of boxes that are all right, under these ids of the two images of val."""
    data = open_data(coco_detection, context)
    samples = coco_detection.samples(data, "val")
    path.write_text(json.dumps([{"image_id": i, "category_id": 12, "score": 0.5, "bbox": [0, 0, 20, 30]} for i in ids]))
    outcomes = coco_detection.read_predictions(path, data)
    with coco_detection.scorer(data, path.parent) as scorer:
        return scorer.score(samples, outcomes)["AP"].value, list(map(str, scorer.notes(samples, outcomes)))


def test_images_of_voc_are_called_by_name_or_by_the_number_that_all_names_are(
    voc_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    context, path = open_context(voc_folder), tmp_path / "results.json"
    assert voc_results(voc_folder, context, ["2008_000001", "2008_000002"], path) == (pytest.approx(1.0), [])
    score, notes = voc_results(voc_folder, context, [2008000001, 2008000002], path)
    assert score == pytest.approx(1.0)
    assert len(notes) == 1 and "read as numbers" in notes[0] and "is the sample '2008_000001'" in notes[0]
    # Places in the list were once ids where a name was no number, and mixed readings are no reading.
    for ids in ([1, 2], ["2008_000001", 2008000002]):
        with pytest.raises(DataError, match=r"as image names .*the split has 2008_000001.* as numbers .*2008000001"):
            voc_results(voc_folder, context, ids, path)
    for path_of in list(voc_folder.rglob("2008_000002.*")):
        path_of.rename(path_of.with_stem("extra_a"))
    for listed in voc_folder.rglob("val.txt"):
        listed.write_text("2008_000001\nextra_a")
    with pytest.raises(DataError, match=r"as numbers .* 1 of 2 are unknown \(first: 2; the split has 2008000001"):
        voc_results(voc_folder, context, [2008000001, 2], path)


@pytest.mark.parametrize(
    ("rows", "iou", "message"),
    [
        ({}, "bbox", r"holds an object, no list of detections"),
        (
            [{**ROW, "image_id": 77}],
            "bbox",
            r"1 are for samples .*\(first: 77; the split has 5, 2, 8\)",
        ),
        ([{**ROW, "category_id": 9}], "bbox", r"entry 0 \(image 5\) has the category 9, which the ground truth does"),
        ([{**ROW, "score": "x"}], "bbox", r"entry 0 \(image 5\) has 'x' as its 'score'"),
        ([{**ROW, "bbox": [1, 2, -1, 3]}], "bbox", r"negative size"),
        ([ROW, 3], "bbox", r"entry 1 is 3; wanted an object"),
        ([MASK], "bbox", r"entry 0 lacks 'bbox'"),
        ([ROW], "segm", r"entry 0 lacks 'segmentation'"),
        (
            [{**MASK, "segmentation": {"size": [40, 30], "counts": "0`U1"}}],
            "segm",
            r"size \[40, 30\] \(entry 0.*wanted.*\[30, 40\]",
        ),
        ([{**MASK, "segmentation": {"size": [30, 40], "counts": "0`U"}}], "segm", r"entry 0 \(image 5\)"),
    ],
)
def test_results_that_do_not_fit_are_named(
    rows: list[Any], iou: str, message: str, coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_detection, open_context(coco_folder, iou=iou))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=message):
        scored(data, samples, coco_detection.read_predictions(write(tmp_path, rows), data))
