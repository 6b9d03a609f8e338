"""Values remembered by what they were found out of: found again by several writers, never believed when broken."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness.storage.remembered
from harness.storage.cache_in_use import digests_remembered
from harness.storage.remembered import Remembered, name_of_content, own_code


def numbered(writer: int, count: int = 60) -> dict[bytes, bytes]:
    return {name_of_content(f"{writer}", f"{n}"): f"{writer} {n}".encode() for n in range(count)}


def keep_one_by_one(cache: Path, writer: int) -> None:
    for name, value in numbered(writer).items():
        Remembered("numbers", cache).keep({name: value})


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=keep_one_by_one, args=(tmp_path, writer)) for writer in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    wanted = {name: value for writer in range(4) for name, value in numbered(writer).items()}
    assert Remembered("numbers", tmp_path).find([*wanted, b"unknown"]) == wanted
    assert Remembered("others", tmp_path).find(list(wanted)) == {}


def test_nothing_is_remembered_without_a_cache_or_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for cache in (None, tmp_path / "file"):
        memory = Remembered("numbers", cache)
        memory.keep(numbered(0))
        assert memory.find(list(numbered(0))) == {}
    assert Remembered.here("numbers").cache is None
    with digests_remembered(tmp_path):
        assert Remembered.here("numbers") == Remembered("numbers", tmp_path)


@given(place=st.floats(0, 0.999), flip=st.integers(1, 255))
def test_a_hit_file_gives_what_was_kept_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: float, flip: int
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    wanted = numbered(0)
    memory = Remembered("numbers", cache)
    memory.keep(wanted)
    (path,) = (cache / "remembered").iterdir()
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    assert memory.find(list(wanted)).items() <= wanted.items()
    memory.keep(wanted)
    memory.keep(wanted)  # the first may have found it broken
    assert memory.find(list(wanted)).items() <= wanted.items()


def test_a_file_that_has_grown_large_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Remembered("numbers", tmp_path)
    memory.keep(numbered(0))
    monkeypatch.setattr(harness.storage.remembered, "_MOST_BYTES", 1000)
    memory.keep(numbered(1))
    assert memory.find([*numbered(0), *numbered(1)]) == numbered(1)


def test_names_tell_where_one_part_ends() -> None:
    assert len({name_of_content("ab", "c"), name_of_content("a", "bc"), name_of_content("abc")}) == 3
    assert len(own_code()) == 64
    assert own_code() != own_code(("numpy",)) != own_code(("no-such-package",))
