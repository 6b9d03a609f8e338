"""Where a run found its data is known on its machine, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan.data_places import Place, recall, remember
from harness.protocols import DataContext


def context(cache: Path) -> DataContext:
    return DataContext(
        "flowers", None, "/data", Path("/home/me"), cache, lambda *_: None, {"classes": "names.txt"}, True
    )


def test_a_place_comes_back_for_its_task_data_and_split_alone(tmp_path: Path) -> None:
    remember("labels", "d1", "val", context(tmp_path))
    assert recall(tmp_path, "labels", "d1", "val") == Place(
        "flowers", None, "/data", "/home/me", {"classes": "names.txt"}, True
    )
    for task, digest, split in (("other", "d1", "val"), ("labels", "d2", "val"), ("labels", "d1", "test")):
        assert recall(tmp_path, task, digest, split) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"wish": 1}', b"\xff"])
def test_a_broken_file_is_no_place(content: bytes, tmp_path: Path) -> None:
    remember("labels", "d1", "val", context(tmp_path))
    (file,) = (tmp_path / "data-places").iterdir()
    file.write_bytes(content)
    assert recall(tmp_path, "labels", "d1", "val") is None


def test_a_cache_that_cannot_be_written_keeps_nothing_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "data-places").write_text("a file in the way")
    remember("labels", "d1", "val", context(tmp_path))
    assert recall(tmp_path, "labels", "d1", "val") is None
