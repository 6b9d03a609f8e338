"""The contents of files: read once, remembered safely, never taken for what they were."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness.storage.content
from harness.storage.cache_in_use import digests_remembered
from harness.storage.content import ABSENT, UNREADABLE, Contents, file_digest


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file for one that has not changed for long."""
    monkeypatch.setattr(harness.storage.content, "RACY_NS", -(10**12))


def store(cache: Path) -> Path:
    return cache / "contents" / "sha256-1.sqlite"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Note which files are read from now on."""
    seen: list[Path] = []
    read = harness.storage.content._read_one

    def noted(path: str) -> tuple[str, bytes | None]:
        seen.append(Path(path))
        return read(path)

    monkeypatch.setattr(harness.storage.content, "_read_one", noted)
    return seen


def test_digests_are_sha256_in_order_with_words_for_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    names = ["b", "a", "none", "a", "a/below", "folder"]
    found = Contents(tmp_path / "cache").of([tmp_path / name for name in names])
    assert found == [sha256(b""), sha256(b"one"), ABSENT, sha256(b"one"), ABSENT, UNREADABLE]
    assert Contents().of([]) == []


@pytest.mark.usefixtures("settled")
def test_a_file_is_read_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, contents = tmp_path / "a", Contents(tmp_path / "cache")
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    seen = reads(monkeypatch)
    assert contents.of([path]) == contents.of([path]) == [sha256(b"one")]
    assert len(seen) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(10**18, 10**18))  # as large and as old as before: its inode's change tells
    assert contents.of([path]) == [sha256(b"two")]
    other = tmp_path / "other"
    other.write_bytes(b"six")
    os.utime(other, ns=(10**18, 10**18))
    other.replace(path)
    assert contents.of([path]) == [sha256(b"six")]


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, contents = tmp_path / "a", Contents(tmp_path / "cache")
    path.write_bytes(b"one")
    os.utime(path, (10**9, 10**9))  # whatever time it states
    seen = reads(monkeypatch)
    contents.of([path])
    contents.of([path])
    assert len(seen) == 2


@pytest.mark.usefixtures("settled")
def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"coffee")
    contents = Contents(tmp_path / "cache")
    assert contents.of([path]) == contents.of([path]) == [sha256(b"coffee")]


@pytest.mark.usefixtures("settled")
def test_a_cache_that_cannot_be_written_is_used_and_needed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(path.name.encode())
    wanted = [sha256(b"a"), sha256(b"b")]
    cache = tmp_path / "cache"
    Contents(cache).of(paths[:1])
    seen = reads(monkeypatch)
    real = harness.storage.content.connect
    error = sqlite3.OperationalError("readonly")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    monkeypatch.setattr(harness.storage.content, "connect", lambda p, m: real(p, m) if m == "ro" else _raise(error))
    assert Contents(cache).of(paths) == wanted
    assert seen == paths[1:]
    assert store(cache).is_file()
    (tmp_path / "file").touch()
    assert Contents(tmp_path / "file").of(paths) == wanted


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.usefixtures("settled")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_broken_cache_is_made_again_and_never_believed(tmp_path: Path, data: st.DataObject) -> None:
    path, cache = tmp_path / "a", tmp_path / "cache"
    path.write_bytes(b"one")
    Contents(cache).of([path])
    content = bytearray(store(cache).read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "noise", "empty"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if how == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = {"flip": bytes(content), "cut": bytes(content[:place]), "noise": b"x" * 300, "empty": b""}[how]
    store(cache).write_bytes(changed)
    for _ in range(3):
        assert Contents(cache).of([path]) == [sha256(b"one")]


@pytest.mark.usefixtures("settled")
def test_a_foreign_table_is_replaced(tmp_path: Path) -> None:
    path, cache = tmp_path / "a", tmp_path / "cache"
    path.write_bytes(b"one")
    store(cache).parent.mkdir(parents=True)
    with sqlite3.connect(store(cache)) as database:
        database.execute("CREATE TABLE contents (something TEXT)")
    database.close()
    for _ in range(2):
        assert Contents(cache).of([path]) == [sha256(b"one")]
    with sqlite3.connect(store(cache)) as database:
        assert database.execute("SELECT count(*) FROM contents").fetchone() == (1,)
    database.close()


def test_processes_share_it(tmp_path: Path) -> None:
    folder, cache = tmp_path / "files", tmp_path / "cache"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}").write_bytes(str(number).encode())
    code = (
        "import sys, harness.storage.content as c; from pathlib import Path; c.RACY_NS = -10**12; c._ROWS = 50\n"
        "paths = sorted(Path(sys.argv[1]).iterdir()); print(c.Contents(Path(sys.argv[2])).of(paths)[-1])"
    )
    command = [sys.executable, "-c", code, str(folder), str(cache)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate()[0] for process in started}
    assert outputs == {f"{sha256(b'99')}\n"} and all(process.returncode == 0 for process in started)
    with sqlite3.connect(store(cache)) as database:
        assert database.execute("SELECT count(*) FROM contents").fetchone() == (300,)
    database.close()


def test_progress_counts_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.storage.content, "_CHUNK", 2)
    paths = [tmp_path / str(number) for number in range(5)]
    for path in paths:
        path.touch()
    told: list[tuple[str, int, int]] = []
    Contents(None, lambda *what: told.append(what)).of(paths)
    assert [(done, total) for _, done, total in told] == [(2, 5), (4, 5), (5, 5)]


def test_one_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert file_digest(path) == sha256(b"one")
    other = tmp_path / "other"
    other.write_bytes(b"two")
    other.replace(path)
    assert file_digest(path) == sha256(b"two")
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "none")


@pytest.mark.usefixtures("settled")
def test_one_process_takes_the_digest_that_another_has_left_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = tmp_path / "weights", tmp_path / "cache"
    path.write_bytes(b"one")
    code = (
        "import sys, harness.storage.content as c; from pathlib import Path; c.RACY_NS = -10**12\n"
        "from harness.storage.cache_in_use import digests_remembered\n"
        "with digests_remembered(Path(sys.argv[2])): print(c.file_digest(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(path), str(cache)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"{sha256(b'one')}\n"
    seen = reads(monkeypatch)
    with digests_remembered(cache):
        assert file_digest(path) == sha256(b"one") and seen == []
    assert file_digest(path) == sha256(b"one") and seen == [path.resolve()], "only where that was asked for"
    with digests_remembered(cache), pytest.raises(IsADirectoryError):
        file_digest(tmp_path)


@pytest.mark.usefixtures("settled")
def test_an_opening_looks_at_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths[:2]:
        path.write_bytes(path.name.encode())
    contents = Contents.of_one_opening(tmp_path / "cache")
    asked: list[Path] = []
    look = harness.storage.content._state
    monkeypatch.setattr(harness.storage.content, "_state", lambda path: (asked.append(Path(path)), look(path))[1])
    assert contents.of(paths[:1]) == [sha256(b"a")]
    assert contents.of([*paths, paths[0]]) == [sha256(b"a"), sha256(b"b"), ABSENT, sha256(b"a")]
    assert contents.of(paths[1:]) == [sha256(b"b"), ABSENT]
    assert sorted(asked) == paths
