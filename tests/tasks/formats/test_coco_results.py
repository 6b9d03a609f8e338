"""COCO results of detection and panoptic segmentation: grouped by image without losing their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle

from harness.errors import DataError
from tasks.formats.coco_instances import Instances, read_instances
from tasks.formats.coco_layout import find_panoptic_files
from tasks.formats.coco_panoptic import read_panoptic, segment_map
from tasks.formats.coco_results import Kind, read_detections, read_panoptic_results, to_results

Folder = Any
MASK = {"size": [10, 20], "counts": rle.encode(np.eye(10, 20, dtype=np.uint8, order="F"))["counts"].decode()}


def rows() -> list[dict[str, Any]]:
    return [
        {"image_id": 10, "category_id": 5, "bbox": [1, 2, 3.5, 4], "score": 0.5, "segmentation": MASK},
        {"image_id": 30, "category_id": 2, "bbox": [-9, 2, 300, 0], "score": 1, "segmentation": MASK},
        {"image_id": 10, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.5, "segmentation": MASK},
    ]


@pytest.fixture
def truth(instances: Folder) -> Instances:
    return read_instances(instances.file.annotations, instances.file.images)


def read(truth: Instances, path: Path, content: Any, kind: Kind) -> Any:
    path.write_text(json.dumps(content))
    return read_detections(path, truth.images, truth.categories, kind)


def test_detections_are_grouped_and_keep_their_order(truth: Instances, tmp_path: Path) -> None:
    first, second, third = read(truth, tmp_path / "results.json", rows(), "bbox")
    assert [d.image_id for d in (first, second, third)] == [30, 10, 20]
    assert (len(first), len(second), len(third)) == (1, 2, 0)
    assert second.category_ids.tolist() == [5, 2]
    assert second.scores.tolist() == [0.5, 0.5]
    assert second.boxes.tolist() == [[1, 2, 3.5, 4], [0, 0, 1, 1]]
    assert first.boxes.tolist() == [[-9, 2, 300, 0]], "what a detector says is not clipped"
    assert third.boxes.shape == (0, 4)
    assert first.masks is None


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_results_go_back_to_coco_with_boxes_or_masks_only(kind: Kind, truth: Instances, tmp_path: Path) -> None:
    other = {"bbox": "segmentation", "segm": "bbox"}[kind]
    wanted = [{key: value for key, value in row.items() if key != other} for row in rows()]
    found = to_results(read(truth, tmp_path / "results.json", rows(), kind))
    assert found == [wanted[1], wanted[0], wanted[2]]
    json.dumps(found)


def change(position: int, **values: Any) -> Callable[[Any], None]:
    return lambda content: content[position].update(values)


@pytest.mark.parametrize(
    ("kind", "edit", "message"),
    [
        ("bbox", lambda c: c.append(3), "entry 3 is 3; wanted an object"),
        ("bbox", lambda c: c[1].pop("score") and None, "entry 1 lacks 'score'"),
        ("bbox", lambda c: c[1].pop("bbox") and None, "entry 1 lacks 'bbox'"),
        ("segm", lambda c: c[1].pop("segmentation") and None, "entry 1 lacks 'segmentation'"),
        ("bbox", change(1, image_id="30"), "entry 1 has '30' as its 'image_id'; wanted a whole number"),
        ("bbox", lambda c: [row.update(image_id=9 + i) for i, row in enumerate(c)],
         r"detections for 2 images that are not in the split \(first: 9, 11\)"),
        ("bbox", change(1, category_id=3), r"entry 1 \(image 30\) has the category 3, which the ground truth does not"),
        ("bbox", change(1, score=float("nan")), r"entry 1 \(image 30\) has nan as its 'score'"),
        ("bbox", change(1, score="1"), r"entry 1 \(image 30\) has '1' as its 'score'; wanted a finite number"),
        ("bbox", change(1, score=True), r"entry 1 \(image 30\) has True as its 'score'"),
        ("bbox", change(1, score=10**400), r"entry 1 \(image 30\) has 1000+ as its 'score'"),
        ("bbox", change(1, bbox=[1, 2, 3]), r"entry 1 \(image 30\) has the box \[1, 2, 3\]"),
        ("bbox", change(1, bbox=[1, 2, -3, 4]), r"entry 1 \(image 30\) has the box .* of negative size"),
        ("segm", change(1, segmentation=[[1, 2, 3, 4, 5, 6]]), r"entry 1 .*has a mask that is no compressed run"),
        ("segm", change(1, segmentation={"size": [10, 20], "counts": [200]}), r"entry 1 .*no compressed run lengths"),
        ("segm", change(1, segmentation=MASK | {"size": [20, 10]}), r"entry 1 .*run lengths of size \[20, 10\]; "),
        ("segm", change(1, segmentation=MASK | {"counts": "5"}), r"entry 1 .*fill 5 pixels; wanted 200"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    kind: Kind, edit: Callable[[Any], Any], message: str, truth: Instances, tmp_path: Path
) -> None:
    content = rows()
    edit(content)
    with pytest.raises(DataError, match=rf"{tmp_path}/results.json:? .*{message}"):
        read(truth, tmp_path / "results.json", content, kind)


def test_an_object_is_no_results_list(truth: Instances, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds an object, no list of detections; wanted"):
        read(truth, tmp_path / "results.json", {"annotations": []}, "bbox")


def panoptic_rows(panoptic: Folder) -> list[dict[str, Any]]:
    """Results as people submit them: ids and categories only."""
    return [
        row | {"segments_info": [{key: info[key] for key in ("id", "category_id")} for info in row["segments_info"]]}
        for row in panoptic.content["annotations"]
    ]


def test_panoptic_results_are_read_for_the_images_of_the_truth(panoptic: Folder, truth_of: Any) -> None:
    path = panoptic.root / "results.json"
    path.write_text(json.dumps({"annotations": panoptic_rows(panoptic)}))
    images, categories = truth_of(panoptic)
    found = read_panoptic_results(path, panoptic.file.maps, images, categories)
    assert [entry.image_id for entry in found] == [30, 10]
    assert [segment.iscrowd for segment in found[0].segments] == [False, False]
    assert np.unique(segment_map(found[0])).tolist() == [0, 1, 70_000]


@pytest.fixture
def truth_of() -> Any:
    def read(panoptic: Folder) -> Any:
        content = read_panoptic(panoptic.file)
        return list(content.entries), content.categories

    return read


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows.pop(), r"has no annotation of 1 \(first: 30\)"),
        (lambda rows: rows.append(rows[0]), r"annotations\[2\] is a second one for image 10"),
        (lambda rows: rows[0].update(image_id=11), r"annotates 1 images that it does not list \(first: 11\)"),
        (lambda rows: rows[0].update(file_name="no.png"), r"names 1 of 2 files that are not there"),
        (lambda rows: rows[0]["segments_info"][0].update(category_id=4), r"of image 10 has the unknown category 4"),
    ],
)
def test_panoptic_results_that_do_not_fit_are_named(
    edit: Callable[[Any], Any], message: str, panoptic: Folder, truth_of: Any
) -> None:
    path = panoptic.root / "results.json"
    content = panoptic_rows(panoptic)
    edit(content)
    path.write_text(json.dumps({"annotations": content}))
    images, categories = truth_of(panoptic)
    with pytest.raises(DataError, match=rf"{path}.*{message}"):
        read_panoptic_results(path, panoptic.file.maps, images, categories)
    with pytest.raises(DataError, match=r"No folder .*no of panoptic maps"):
        read_panoptic_results(path, panoptic.root / "no", images, categories)


def test_the_truth_is_a_panoptic_result(mini: Path) -> None:
    file = find_panoptic_files(mini)["val"]
    truth = read_panoptic(file)
    images = list(truth.entries)
    assert file.maps is not None
    found = read_panoptic_results(file.annotations, file.maps, images, truth.categories)
    assert found == truth.entries
