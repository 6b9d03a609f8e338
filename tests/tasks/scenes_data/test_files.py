"""Files of Scenes that were changed in the cache are made again, and said: no score is of other pixels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import NOTICE, DataContext
from harness.storage.content import Contents
from tasks.scenes import layout
from tasks.scenes.generate import write_splits
from tasks.scenes_data.files import forget_changed
from tasks.scenes_data.open import open_scenes


@pytest.fixture
def root(scenes_root: Path, tmp_path: Path) -> Path:
    """A copy of its own that nobody has looked at: another test may have left its digests in what all share."""
    return Path(shutil.copytree(scenes_root, tmp_path / "scenes", ignore=shutil.ignore_patterns("sha256_*")))


@pytest.mark.parametrize("what", ["image", "map", "annotations", "gone"])
def test_a_changed_file_makes_its_split_anew(
    what: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def ensure(cache: Path, splits: list[str], progress: Any = None) -> Path:
        lacking = [split for split in splits if not layout.is_complete(root, split)]
        made.extend(lacking)
        write_splits(root, lacking, processes=1, limit=12)
        return root

    told: list[str] = []

    def progress(text: str, done: int, total: int) -> None:
        if total == NOTICE:
            told.append(text)

    monkeypatch.setattr("tasks.scenes_data.open.ensure_scenes", ensure)
    context = DataContext("scenes", None, None, tmp_path, tmp_path / "cache", progress)
    first = open_scenes(context)
    assert (made, told) == ([], []) and open_scenes(context) == first
    folder = {"map": layout.map_dir(root, "panoptic", "val")}.get(what, layout.image_dir(root, "val"))
    path = sorted(folder.glob("*.png"))[3]
    if what == "annotations":
        path = layout.annotation_file(root, "captions", "val")
    before = path.read_bytes()
    if what == "gone":
        path.unlink()
    else:
        path.write_bytes(before.replace(b"a", b"b", 1) if what == "annotations" else before[:-1] + b"?")
    assert open_scenes(context) == first
    assert made == ["val"] and path.read_bytes() == before
    assert len(told) == 1 and "Scenes, val" in told[0]
    assert open_scenes(context) == first and made == ["val"]


def test_a_cache_that_cannot_be_written_is_believed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tasks.scenes_data.files.replace_atomically", refuse)
    assert forget_changed(root, ["train", "val"], Contents()) == []
    assert not list((root / "annotations").glob("sha256_*"))
