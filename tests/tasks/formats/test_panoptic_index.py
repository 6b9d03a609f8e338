"""Panoptic annotations through the cache: the same as the file says, parsed once; maps are looked for each time."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import tasks.formats.annotation_index
from harness.errors import DataError
from harness.storage.content import Contents
from tasks.formats import panoptic_index
from tasks.formats.coco_panoptic import Segment, read_panoptic
from tasks.formats.panoptic_index import MappedSegments, open_panoptic


def test_an_index_says_what_the_file_says(panoptic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = panoptic.file.annotations
    content = json.loads(path.read_text())
    two = next(annotation for annotation in content["annotations"] if len(annotation["segments_info"]) == 2)
    two["segments_info"][1] |= {"area": "large"}
    del two["segments_info"][1]["iscrowd"]
    content["annotations"].reverse()
    path.write_text(json.dumps(content))
    contents = Contents(tmp_path / "cache")
    direct = read_panoptic(panoptic.file)
    assert open_panoptic(panoptic.file, contents) == direct

    def refuse(*_: Any) -> Any:
        raise AssertionError("it was parsed again")

    monkeypatch.setattr(tasks.formats.annotation_index, "_make", refuse)
    monkeypatch.setattr(panoptic_index, "read_panoptic", refuse)
    found = open_panoptic(panoptic.file, contents)
    assert found == direct and len(found.notes) == 1
    segments = found.entries[0].segments
    assert isinstance(segments, MappedSegments) and segments[-1] == direct.entries[0].segments[-1]
    areas = [segment.area_px for entry in found.entries for segment in entry.segments]
    assert None in areas and areas == [segment.area_px for entry in direct.entries for segment in entry.segments]
    assert segments[:1] == direct.entries[0].segments[:1]
    assert isinstance(segments[0], Segment) and isinstance(segments[0].segment_id, int)
    assert pickle.loads(pickle.dumps(found.entries)) == direct.entries
    found.entries[1].png.unlink()
    with pytest.raises(DataError, match="names 1 of 2 files that are not there"):
        open_panoptic(panoptic.file, contents)


def test_annotations_are_those_of_the_images(panoptic: Any, tmp_path: Path) -> None:
    path = panoptic.file.annotations
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": content["annotations"][:1]}))
    with pytest.raises(DataError) as indexed:
        open_panoptic(panoptic.file, Contents(tmp_path / "cache"))
    with pytest.raises(DataError, match="has no annotation of 1") as direct:
        read_panoptic(panoptic.file)
    assert str(indexed.value) == str(direct.value)
