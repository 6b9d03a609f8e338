"""Label maps made elsewhere: folders of label images and COCO's panoptic results; each flaw is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError, UsageError
from harness.metrics.maps.panoptic import (
    PanopticCategories,
    PanopticCounts,
    SegmentMap,
    match_segments,
    panoptic_statistics,
)
from harness.protocols import open_data
from harness.records.score_file import score_file
from tasks.segmentation.task import coco_segmentation

from .scored_maps import PQ_NAMES, MakeContext, perfect, scored

Maps = Mapping[int, tuple[np.ndarray, Mapping[int, tuple[int, int]]]]


def write_images(folder: Path, images: Mapping[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, labels in images.items():
        Image.fromarray(labels.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def test_a_folder_of_label_images_holds_the_datas_own_values(
    camvid_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_segmentation, open_context(camvid_folder))
    samples = coco_segmentation.samples(data, "test")
    stored = {path.stem: np.asarray(Image.open(path)) for path in (camvid_folder / "testannot").iterdir()}
    folder = write_images(tmp_path / "found", stored)
    scores = score_file(
        coco_segmentation, coco_segmentation.read_predictions(folder, data), (data, samples), 5, tmp_path
    )
    assert scores.metrics["mIoU"].value == 1.0, "void pixels are void in the truth as well"
    half = np.array(stored["test00"])
    half[15:20] = 11
    write_images(folder, {"test00": half})
    found = scored(data, samples, coco_segmentation.read_predictions(folder, data))
    # 200 pixels of road are answered with void: these are missed, and no other class's mistake.
    road = sum(int((labels == 3).sum()) for labels in stored.values())
    assert found["mIoU:road"] == pytest.approx((road - 200) / road) and found["mIoU:sky"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test00": None}, r"lacks 1 of the split's samples \(first: test00\)"),
        ({"other": np.zeros((30, 40))}, r"as sample ids 1 of 4 are unknown \(first: other; the split has test00,"),
        ({"test01": np.zeros((10, 40))}, r"test01.png has 40 x 10 px; wanted 40 x 30, those of image test01"),
        ({"test01": np.full((30, 40), 77)}, r"test01.png has the label 77 in 1200 pixels"),
    ],
)
def test_label_images_that_do_not_fit_are_named(
    change: Mapping[str, Any], message: str, camvid_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_segmentation, open_context(camvid_folder))
    samples = coco_segmentation.samples(data, "test")
    images = {f"test{i:02}": np.zeros((30, 40)) for i in range(3)} | change
    folder = write_images(tmp_path / "found", {name: labels for name, labels in images.items() if labels is not None})
    with pytest.raises(DataError, match=message):
        scored(data, samples, coco_segmentation.read_predictions(folder, data))


def found_segments() -> Maps:
    """Image 8 as it is; in image 2 the dog is moved and the cat is called a dog."""
    ids = np.full((30, 40), 5)
    ids[10:20, 7:17], ids[2:7, 30:38], ids[29] = 6, 7, 0
    first = np.full((30, 40), 300)
    first[10:20, 5:15], first[20:28, 20:36], first[29] = 11, 70_000, 0
    return {8: (first, {300: (9, 0), 11: (7, 0), 70_000: (3, 0)}), 2: (ids, {5: (9, 0), 6: (7, 0), 7: (7, 0)})}


def reference_of(truth: Path, found: Path) -> dict[str, float | None]:
    """The metric itself on the files, without the task."""
    from harness.metrics.maps.panoptic import segment_ids

    contents = [json.loads(path.read_text()) for path in (truth, found)]
    categories = PanopticCategories(sorted(contents[0]["categories"], key=lambda category: category["id"]))
    theirs = {row["image_id"]: row for row in contents[1]["annotations"]}
    rows = {row["image_id"]: row for row in contents[0]["annotations"]}
    images = []
    for image in contents[0]["images"]:
        maps = []
        for path, row in ((truth, rows[image["id"]]), (found, theirs[image["id"]])):
            with Image.open(path.with_suffix("") / row["file_name"]) as png:
                maps.append(SegmentMap(segment_ids(np.asarray(png.convert("RGB"))), row["segments_info"]))
        images.append(match_segments(*maps, categories, "image"))
    found_scores = panoptic_statistics(PanopticCounts.stack(categories, images))
    return {name: None if s is None else s.value for name, s in found_scores.items()}


@pytest.mark.parametrize("alone", [False, True])
def test_panoptic_results_are_scored_by_their_own_segments(
    alone: bool, panoptic_folder: Path, panoptic_in: Callable[..., None], open_context: MakeContext, tmp_path: Path
) -> None:
    results, truth = tmp_path / "found.json", panoptic_folder / "annotations/panoptic_val.json"
    panoptic_in(results, found_segments())
    if alone:
        data, samples = coco_segmentation.read_references(truth)
    else:
        data = open_data(coco_segmentation, open_context(panoptic_folder))
        samples = coco_segmentation.samples(data, "val")
    found = scored(data, samples, coco_segmentation.read_predictions(results, data))
    assert {name: found[name] for name in PQ_NAMES} == reference_of(truth, results)
    # Dog: 10 x 10 px found whole, then 8 of 12 columns; the cat is missed, and is a dog too many.
    assert found["PQ-Th"] == pytest.approx((0 + (1 + 8 / 12) / 2.5) / 2)
    assert found["mIoU:cat"] == 0.0
    # The sky of image 2 covers the true dog's two left columns; where the crowd is, nothing is asked.
    sky = [30 * 40 - 40 - 100 - 16 * 8, 30 * 40 - 40 - 100 - 16 * 8 - 40]
    assert found["mIoU:sky"] == pytest.approx((sum(sky) - 20) / (sum(sky) + 20))


def test_real_panoptic_maps_score_1_against_themselves(coco_mini: Path, open_context: MakeContext) -> None:
    data = open_data(coco_segmentation, open_context(coco_mini))
    samples = coco_segmentation.samples(data, "val")[:12]
    outcomes = coco_segmentation.read_predictions(coco_mini / "annotations/panoptic_val2017.json", data)
    ids = {sample.sample_id for sample in samples}
    found = scored(data, samples, [outcome for outcome in outcomes if outcome.sample_id in ids])
    assert {found[name] for name in ("mIoU", "pixel-accuracy", "mean-accuracy", *PQ_NAMES)} == {1.0}
    assert len(coco_segmentation.spec(data, ()).classes) == 133
    guessed = scored(data, samples, [perfect(sample) for sample in samples])
    assert guessed["mIoU"] == 1.0 and 0.5 < guessed["PQ"] < 1.0, "a label map does not say which person is which"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"].pop(), r"1 of 2 samples have no label map \(first: 2\)"),
        (
            lambda c: c["annotations"][0].update(image_id=4),
            r"1 are for samples .*first: 4; .*and 1 of its 2 have no label map",
        ),
        (lambda c: c["annotations"][0]["segments_info"][0].update(category_id=4), r"unknown category 4"),
        (lambda c: c["annotations"][0]["segments_info"].pop(), r"1 segments that the JSON does not describe"),
        (lambda c: c["annotations"][0].update(file_name="x.png"), r"names 1 of 2 files that are not there"),
        (lambda c: c["annotations"].clear(), r"has no annotation: there is nothing to score"),
    ],
)
def test_panoptic_results_that_do_not_fit_are_named(
    change: Callable[[dict[str, Any]], Any],
    message: str,
    panoptic_folder: Path,
    panoptic_in: Callable[..., None],
    open_context: MakeContext,
    tmp_path: Path,
) -> None:
    path = tmp_path / "found.json"
    panoptic_in(path, found_segments())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    data = open_data(coco_segmentation, open_context(panoptic_folder))
    samples = coco_segmentation.samples(data, "val")
    with pytest.raises(DataError, match=message):
        scored(data, samples, coco_segmentation.read_predictions(path, data))


def test_what_cannot_be_predictions_or_references_is_named(
    panoptic_folder: Path, camvid_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_segmentation, open_context(camvid_folder))
    alone = tmp_path / "alone.json"
    alone.write_text("{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"panoptic results need data with panoptic truth"):
        coco_segmentation.read_predictions(alone, data)
    with pytest.raises(DataError, match=r"neither a folder of label images nor a JSON file"):
        coco_segmentation.read_predictions(tmp_path / "maps.zip", data)
    with pytest.raises(DataError, match=r"empty has no label image"):
        coco_segmentation.read_predictions(tmp_path / "empty", data)
    with pytest.raises(UsageError, match=r"wanted COCO's panoptic JSON"):
        coco_segmentation.read_references(camvid_folder)
    panoptic = open_data(coco_segmentation, open_context(panoptic_folder))
    with pytest.raises(DataError, match=r"No folder .*alone of panoptic maps"):
        coco_segmentation.read_predictions(alone, panoptic)
    without = replace(panoptic, scoring={"panoptic": False})
    samples = coco_segmentation.samples(without, "val")
    outcomes = coco_segmentation.read_predictions(panoptic_folder / "annotations/panoptic_val.json", without)
    with pytest.raises(DataError, match=r"Leave task.panoptic=false out"):
        scored(without, samples, outcomes)
