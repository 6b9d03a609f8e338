"""Arrays written block by block are what np.save writes, and never in RAM as a whole."""

from __future__ import annotations

import shutil
import tracemalloc
from collections import namedtuple
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from harness.inputs.array_file import free_share, has_room, writing_array


@pytest.mark.parametrize("rows", [1, 9, 100, 12_345])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.uint16])
def test_blocks_give_the_bytes_of_np_save(rows: int, dtype: type[np.generic], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (rows, 3, 2)).astype(dtype)
    with writing_array(tmp_path / "a.npy") as writer:
        for start in range(0, rows, 64):
            writer.append(array[start : start + 64])
    saved = BytesIO()
    np.save(saved, array)
    assert (tmp_path / "a.npy").read_bytes() == saved.getvalue()


def test_an_array_without_rows_has_a_shape(tmp_path: Path) -> None:
    with writing_array(tmp_path / "a.npy") as writer:
        writer.append(np.zeros((0, 3, 8, 8), np.uint8))
    assert np.load(tmp_path / "a.npy", mmap_mode=None).shape == (0, 3, 8, 8)


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="float64"), writing_array(tmp_path / "a.npy") as writer:
        writer.append(np.zeros((1, 3), np.float32))
        writer.append(np.zeros((1, 3), np.float64))


def test_no_more_than_a_block_is_held(tmp_path: Path) -> None:
    block = np.zeros((64, 2**14), np.uint8)  # 1 MiB
    tracemalloc.start()
    with writing_array(tmp_path / "a.npy") as writer:
        for _ in range(20):
            writer.append(block + 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "a.npy").stat().st_size > 20 * block.nbytes
    assert peak < 3 * block.nbytes


def test_half_of_the_free_disk_may_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 600, 400))
    path = tmp_path / "not" / "there" / "a.npy"
    assert free_share(path) == 200
    assert has_room(path, 200) and not has_room(path, 201)
    path.parent.mkdir(parents=True)
    path.touch()
    assert has_room(path, 201)  # what is there takes nothing more
