"""Several processes write the same names at once, and some are killed: one wins each name, and nothing is half."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.files import create_whole
from harness.record import RunRecord
from harness.records.conflicts import deterministic_digest, settle
from harness.records.folder import Folder
from harness.records.store import Store

Make = Callable[..., RunRecord]
_WRITERS, _NAMES, _BYTES = 8, 12, 200_000


@pytest.fixture(params=["folder", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"{'file://' if request.param == 'file' else ''}{tmp_path}/results"


def _write(url: str, writer: int, won: Any) -> None:
    folder = Folder(url)
    for number in range(_NAMES):
        if folder.create_only(f"a-task/records/{number}.json", bytes([writer]) * _BYTES):
            won.put((number, writer))


def test_of_many_writers_one_makes_each_file_and_those_that_are_killed_leave_no_half(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    won = context.SimpleQueue()
    writers = [context.Process(target=_write, args=(url, writer, won)) for writer in range(1, _WRITERS + 1)]
    for process in writers:
        process.start()
    rng, folder, read = random.Random(0), Folder(url), 0
    killed = set(rng.sample(range(_WRITERS), 3))
    deadline = time.monotonic() + 60
    seen: dict[str, bytes] = {}
    while any(process.is_alive() for process in writers) and time.monotonic() < deadline:
        for name in folder.names("a-task/records/*.json"):
            content = folder.read_bytes(name)
            read += 1
            assert content == content[:1] * _BYTES
            assert seen.setdefault(name, content) == content  # whoever has it keeps it
        if seen and killed:
            pid = writers[killed.pop()].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
    assert {process.exitcode for process in writers if process.exitcode != -signal.SIGKILL} == {0}
    assert read
    assert len(folder.names("a-task/records/*.json")) == _NAMES
    told: list[tuple[int, int]] = []
    while not won.empty():
        told.append(won.get())
    assert len({number for number, _ in told}) == len(told)  # nobody else was told that it made the file
    for number, writer in told:
        assert folder.read_bytes(f"a-task/records/{number}.json") == bytes([writer]) * _BYTES


def test_a_file_that_is_there_is_not_made_again(url: str) -> None:
    folder = Folder(url)
    assert folder.create_only("once.json", b"first")
    assert not folder.create_only("once.json", b"second")
    assert folder.read_bytes("once.json") == b"first"


def test_a_server_that_says_no_in_other_words_has_one_winner_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    folder = Folder("memory://other-words/results")
    pipe = MemoryFileSystem.pipe_file

    def refuse(system: Any, path: str, value: bytes, mode: str = "overwrite") -> None:
        if mode == "create":
            raise OSError(22, "precondition failed")
        pipe(system, path, value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    with pytest.raises(StoreError, match=r"Cannot write memory://other-words/results/once.json: Invalid argument"):
        folder.create_only("once.json", b"first")
    folder.write_bytes("once.json", b"first")
    assert not folder.create_only("once.json", b"second")
    assert folder.read_bytes("once.json") == b"first"


def test_a_file_system_without_hard_links_has_one_winner_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("harness.files.os.link", refuse)
    assert create_whole(tmp_path / "a", b"first")
    assert not create_whole(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_record_that_came_between_looking_and_writing_stands(
    tmp_path: Path, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, mine = Store(str(tmp_path)), record("a", 0.5)
    Store(str(tmp_path)).write_record(replace(mine, device="another run's"))
    exists, asked = Store.exists, iter([False])  # what it saw a moment before
    monkeypatch.setattr(Store, "exists", lambda store, name: next(asked, exists(store, name)))
    with pytest.raises(StoreError, match=r"immutable"):
        store.write_record(mine)
    found = store.find_record("a-task", mine.fingerprint)
    assert found is not None and found.device == "another run's"


def test_other_costs_are_no_conflict_and_other_scores_are_kept_beside(tmp_path: Path, record: Make) -> None:
    store, stands = Store(str(tmp_path)), record("a", 0.5)
    elsewhere = replace(stands, device="cuda:0", created="2030-01-01", efficiency=replace(stands.efficiency, flops=3))
    assert deterministic_digest(elsewhere) == deterministic_digest(stands)
    message, differs = settle(store, "a", elsewhere, stands)
    assert (message, differs) == ("a: another run has finished it meanwhile; its record stands.", False)
    assert not list(tmp_path.rglob("*.json"))
    other = replace(record("a", 0.25), fingerprint=stands.fingerprint)
    message, differs = settle(store, "a", other, stands)
    assert differs and "CONFLICT" in message
    (kept,) = tmp_path.rglob("conflicts/*.json")
    assert str(kept) in message
    assert store.read_records() == []
    settle(store, "a", other, stands)  # the same one once more
    assert len(list(tmp_path.rglob("*.json"))) == 1
