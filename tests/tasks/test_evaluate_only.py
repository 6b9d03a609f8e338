"""Folders with one split alone are there to be evaluated on: captions, boxes and label maps, in every layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.protocols import DataContext
from harness.sample import Outcome
from tasks.captioning.task import coco_caption
from tasks.detection.task import coco_detection
from tasks.segmentation.task import coco_segmentation

MakeContext = Callable[..., DataContext]


def without_train(root: Path) -> Path:
    """Remove what names the training split."""
    for path in sorted((*root.rglob("*train*.json"), *root.rglob("train.txt"), *root.rglob("*train*annot"))):
        if "VOC" not in path.name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return root


@pytest.mark.parametrize(
    ("task", "fixture", "split", "count"),
    [
        (coco_detection, "coco_folder", "val", 3),
        (coco_detection, "voc_folder", "val", 2),
        (coco_segmentation, "voc_folder", "val", 2),
        (coco_segmentation, "panoptic_folder", "val", 2),
        (coco_segmentation, "camvid_folder", "test", 3),
    ],
)
def test_one_split_is_enough(
    task: Any, fixture: str, split: str, count: int, request: pytest.FixtureRequest, open_context: MakeContext
) -> None:
    root = request.getfixturevalue(fixture)
    whole = task.open_data(open_context(root))
    data = task.open_data(open_context(without_train(root)))
    assert (data.training_split, data.selection_split, data.default_split, data.splits) == (None, None, split, (split,))
    assert [s.sample_id for s in task.samples(data, split)] == [s.sample_id for s in task.samples(whole, split)]
    assert len(task.samples(data, split)) == count
    assert task.spec(data, ()).classes.names == task.spec(whole, ()).classes.names
    assert data.digest != whole.digest


def test_captions_of_one_split_are_scored(
    captions_in: Callable[..., Path], tmp_path: Path, open_context: MakeContext
) -> None:
    root = without_train(captions_in(tmp_path / "data", train=4, val=3))
    data = coco_caption.open_data(open_context(root))
    assert (data.training_split, data.default_split, data.splits) == (None, "val", ("val",))
    samples = coco_caption.samples(data, "val")
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": int(s.sample_id), "caption": "a wall"} for s in samples]))
    assert coco_caption.read_predictions(path, data) == [Outcome(s.sample_id, "a wall") for s in samples]


def test_train_alone_needs_to_be_asked_for(coco_folder: Path, open_context: MakeContext) -> None:
    (coco_folder / "annotations/instances_val.json").unlink()
    with pytest.raises(DataError, match=rf"{coco_folder} has only train: nothing is left to evaluate on"):
        coco_detection.open_data(open_context(coco_folder))
    data = coco_detection.open_data(open_context(coco_folder, "train"))
    assert (data.training_split, data.default_split, len(coco_detection.samples(data, "train"))) == (None, "train", 40)
