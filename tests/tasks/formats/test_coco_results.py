"""COCO results of detection: grouped by image without losing their order."""

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
from tasks.formats.coco_results import ResultKind, detections_of
from tasks.formats.json_files import read_json

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


def read(truth: Instances, path: Path, content: Any, kind: ResultKind) -> Any:
    path.write_text(json.dumps(content))
    return detections_of(read_json(path), path, truth.images, truth.categories, kind)


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
    kind: ResultKind, edit: Callable[[Any], Any], message: str, truth: Instances, tmp_path: Path
) -> None:
    content = rows()
    edit(content)
    with pytest.raises(DataError, match=rf"{tmp_path}/results.json:? .*{message}"):
        read(truth, tmp_path / "results.json", content, kind)


def test_an_object_is_no_results_list(truth: Instances, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds an object, no list of detections; wanted"):
        read(truth, tmp_path / "results.json", {"annotations": []}, "bbox")
