"""Captions through the cache: the same as the file says, parsed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tasks.formats.annotation_index
from harness.errors import DataError
from harness.protocols import DataContext
from harness.storage.content import Contents
from tasks.captioning.task import coco_caption
from tasks.formats import caption_index
from tasks.formats.caption_index import open_captions
from tasks.formats.coco_captions import read_caption_file
from tasks.formats.coco_layout import SplitFile, find_caption_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with train and val of three images each, of which the last one of train has no caption."""
    for number, split in enumerate(("train", "val")):
        names = [f"{number}{letter}.png" for letter in "abc"]
        images = [{"id": 10 * number + i, "file_name": name, "licence": None} for i, name in enumerate(names)]
        captions = [
            {"image_id": image["id"], "caption": f"é {image['id']} of {k}"}
            for image in images[: 2 + number]
            for k in range(2)
        ]
        path = tmp_path / f"coco/annotations/captions_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": captions}))
        for name in names:
            (tmp_path / "coco/images").mkdir(exist_ok=True)
            Image.new("RGB", (4, 4), (number, int(name[1], 16), 0)).save(tmp_path / "coco/images" / name)
    return tmp_path / "coco"


def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("it was parsed again")

    monkeypatch.setattr(tasks.formats.annotation_index, "_make", refuse)
    monkeypatch.setattr(caption_index, "read_caption_file", refuse)


def test_an_index_says_what_the_file_says(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = Contents(tmp_path / "cache")
    file = find_caption_files(root)["train"]
    direct = read_caption_file(file)
    assert open_captions(file, contents) == direct
    no_parsing(monkeypatch)
    again = open_captions(file, contents)
    assert again == direct and again.images[1].references == ("é 1 of 0", "é 1 of 1")
    assert [str(note) for note in again.notes] == [
        "split train: 1 of 3 images have no caption and are left out (first: 2)"
    ]
    renamed = open_captions(SplitFile("test", file.annotations, file.images), contents)
    assert [note.split for note in renamed.notes] == ["test"], "the same file may be another split elsewhere"
    (file.images / "0b.png").unlink()
    with pytest.raises(DataError, match="names 1 of 2 files that are not there"):
        open_captions(file, contents)


def test_jobs_parse_no_file_that_was_opened(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = DataContext(str(root), None, None, tmp_path, tmp_path / "cache", lambda *_: None, {})
    data = coco_caption.open_data(context)
    no_parsing(monkeypatch)
    samples = coco_caption.samples(data, data.default_split)
    assert [sample.sample_id for sample in samples] == ["10", "11", "12"]
    assert samples[2].target.references == ("é 12 of 0", "é 12 of 1")
