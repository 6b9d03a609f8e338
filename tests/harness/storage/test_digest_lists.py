"""Long lists of files are known as one, while none of their files has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness.storage.content
import harness.storage.digest_lists
from harness.storage.content import Contents


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take lists of three files for long ones, and files for such that have not changed for long."""
    monkeypatch.setattr(harness.storage.digest_lists, "LONG", 3)
    monkeypatch.setattr(harness.storage.content, "RACY_NS", -(10**12))


def made(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / name for name in "bac"]
    for path in paths:
        path.write_text(path.name)
    return paths


def digests(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files are looked up one by one from now on, a number for each time."""
    seen: list[int] = []
    known = Contents._known

    def noted(self: Contents, states: dict[str, bytes]) -> dict[str, str]:
        seen.append(len(states))
        return known(self, states)

    monkeypatch.setattr(Contents, "_known", noted)
    return seen


def test_a_list_is_known_in_its_order_until_one_of_its_files_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, contents, seen = made(tmp_path / "files"), Contents(tmp_path / "cache"), looked_up(monkeypatch)
    for _ in range(3):
        assert contents.of(paths) == digests(paths)
    assert seen == [3], "known as one from the second time on"
    assert contents.of(paths[::-1]) == digests(paths[::-1]) and len(seen) == 2, "another list"
    paths[1].write_text("changed")
    assert contents.of(paths) == digests(paths) and len(seen) == 3
    assert contents.of(paths) == digests(paths) and len(seen) == 3
    assert contents.of(paths[:2]) == digests(paths[:2]) and len(seen) == 4, "too short for a list"


def test_files_that_may_still_change_and_files_that_are_gone_are_not_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, contents = made(tmp_path / "files"), Contents(tmp_path / "cache")
    monkeypatch.setattr(harness.storage.content, "RACY_NS", 10**12)
    seen = looked_up(monkeypatch)
    for _ in range(2):
        assert contents.of(paths) == digests(paths)
    assert len(seen) == 2
    monkeypatch.setattr(harness.storage.content, "RACY_NS", -(10**12))
    assert contents.of(paths) == contents.of(paths) == digests(paths)
    paths[0].unlink()
    assert contents.of(paths) == ["absent", *digests(paths[1:])]


def test_names_are_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = Contents(tmp_path / "cache")
    for folder in ("one", "two"):
        paths = made(tmp_path / folder)
        paths[0].write_text(folder)
        monkeypatch.chdir(tmp_path / folder)
        for _ in range(2):
            assert contents.of([Path(path.name) for path in paths]) == digests(paths)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_broken_list_is_made_again_and_never_believed(tmp_path: Path, data: st.DataObject) -> None:
    folder, cache = tmp_path / "files", tmp_path / "cache"
    paths = [folder / name for name in "bac"] if folder.exists() else made(folder)
    Contents(cache).of(paths)
    store = cache / "contents" / "lists-1.sqlite"
    content = bytearray(store.read_bytes())
    how, place = data.draw(st.sampled_from(["flip", "cut", "noise"])), data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    store.write_bytes({"flip": bytes(content), "cut": bytes(content[:place]), "noise": b"x" * 300}[how])
    for _ in range(3):
        assert Contents(cache).of(paths) == digests(paths)
    store.unlink()
