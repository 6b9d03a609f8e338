"""Annotation files that were opened are parsed by no job: samples, classes, scorers and moved roots take the index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tasks.formats.annotation_index
from tasks.classification.task import image_classification
from tasks.detection.task import coco_detection, detection_categories
from tasks.formats import caption_index, instance_index, panoptic_index
from tasks.segmentation.task import coco_segmentation

MakeContext = Callable[..., Any]


def forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where an annotation file is parsed from now on."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("it was parsed again")

    monkeypatch.setattr(tasks.formats.annotation_index, "_make", refuse)
    readers = {instance_index: "read_instances", caption_index: "read_caption_file", panoptic_index: "read_panoptic"}
    for module, reader in readers.items():
        monkeypatch.setattr(module, reader, refuse)


@pytest.mark.parametrize(
    ("task", "fixture"),
    [
        (coco_detection, "coco_folder"),
        (image_classification, "coco_folder"),
        (coco_segmentation, "panoptic_folder"),
    ],
)
def test_what_was_opened_is_not_parsed_again(
    task: Any,
    fixture: str,
    request: pytest.FixtureRequest,
    open_context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    root = request.getfixturevalue(fixture)
    data = task.open_data(open_context(root))
    before = {split: task.samples(data, split) for split in data.splits}
    forbid_parsing(monkeypatch)
    assert {split: [s.sample_id for s in task.samples(data, split)] for split in data.splits} == {
        split: [s.sample_id for s in samples] for split, samples in before.items()
    }
    assert task.spec(data, before["train"]).classes.names == task.spec(data, ()).classes.names
    task.scorer(data, tmp_path)
    if task is coco_detection:
        assert [sample.target for sample in task.samples(data, "train")] == [s.target for s in before["train"]]
        assert [category.name for category in detection_categories(data)] == list(task.spec(data, ()).classes.names)
    moved = shutil.copytree(root, tmp_path / "elsewhere")  # the bytes of a file are its key, not its place
    assert task.open_data(open_context(moved)).digest == data.digest
