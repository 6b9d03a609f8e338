"""Images and texts of a few rows, and how tasks open what became of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.protocols import DataContext
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def encoded(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


Opened = dict[str, list[tuple[bytes, Any]]]


@pytest.fixture
def as_captions(tmp_path: Path) -> Callable[[Path], Opened]:
    """Open a folder for captioning: the bytes and the references of each sample by split."""

    def read(folder: Path) -> Opened:
        data = coco_caption.open_data(DataContext(str(folder), None, None, tmp_path, tmp_path / "cache", quiet, {}))
        found: Opened = {}
        for split in data.splits:  # what is held out of train for selection is of train here
            rows = [(s.image.read_bytes(), s.target.references) for s in coco_caption.samples(data, split)]
            found.setdefault(split.removesuffix("-held-out"), []).extend(rows)
        return {split: sorted(rows, key=lambda row: row[1]) for split, rows in found.items()}

    return read


@pytest.fixture
def as_classes(tmp_path: Path) -> Callable[[Path], Opened]:
    """Open a folder for classification: the bytes and the class of each sample by split."""

    def read(folder: Path) -> Opened:
        context = DataContext(str(folder), None, None, tmp_path, tmp_path / "cache", quiet, {})
        data = image_classification.open_data(context)
        names = image_classification.spec(data, ()).classes.names
        return {
            split: [(s.image.read_bytes(), names[s.target.label]) for s in image_classification.samples(data, split)]
            for split in data.splits
        }

    return read
