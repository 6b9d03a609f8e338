"""A file comes whole however its server behaves, from where it was, and a wrong byte is noticed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.acquire.download import check_file, fetch
from harness.acquire.known_sets import RemoteFile
from harness.errors import DataError

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def fetched(file: RemoteFile, folder: Path) -> bytes:
    found = fetch(file, folder, quiet, lambda seconds: None)
    assert found.path == folder / file.name
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest() and found.bytes == len(CONTENT)
    assert not list(folder.glob("*.part*"))
    return found.path.read_bytes()


def known(*urls: str) -> RemoteFile:
    return RemoteFile("a.zip", urls, bytes=len(CONTENT), sha256=SHA256)


@pytest.mark.parametrize("etag", ['"v1"', 'W/"weak"', None])
def test_a_cut_connection_goes_on_where_it_ended(server: Any, tmp_path: Path, etag: str | None) -> None:
    url = server.put("a.zip", CONTENT, cut_after=[70_000, 100_000], etag=etag)
    assert fetched(known(url), tmp_path) == CONTENT
    assert server.asked == [None, "bytes=70000-", "bytes=170000-"]


def test_without_a_digest_only_the_same_version_is_gone_on_with(server: Any, tmp_path: Path) -> None:
    unknown = RemoteFile("a.zip", (server.put("a.zip", CONTENT, cut_after=[70_000], etag=None),))
    assert fetched(unknown, tmp_path) == CONTENT
    assert server.asked == [None, None]
    server.asked.clear()
    other = RemoteFile("b.zip", (server.put("b.zip", CONTENT, cut_after=[70_000]),))
    assert fetched(other, tmp_path) == CONTENT
    assert server.asked == [None, "bytes=70000-"]


def test_a_server_without_ranges_sends_all_again(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT, cut_after=[70_000], ranges=False)
    assert fetched(known(url), tmp_path) == CONTENT


def test_a_changed_file_begins_anew(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", bytes(len(CONTENT)), cut_after=[70_000], status=[])
    file = RemoteFile("a.zip", (url,))

    def change(seconds: float) -> None:
        server.served["/a.zip"].content, server.served["/a.zip"].etag = CONTENT, '"v2"'

    assert fetch(file, tmp_path, quiet, change).sha256 == SHA256


def test_a_part_longer_than_the_file_begins_anew(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(bytes(len(CONTENT) + 5))
    assert fetched(known(url), tmp_path) == CONTENT
    assert server.asked == [f"bytes={len(CONTENT) + 5}-", None]


def test_the_beginning_of_another_version_costs_one_attempt(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(bytes(1000))
    assert fetched(known(url), tmp_path) == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_whole_part_is_only_checked(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetched(known(url), tmp_path) == CONTENT
    assert server.asked == []


def test_a_busy_server_is_asked_again(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT, status=[503, 429, 500])
    assert fetched(known(url), tmp_path) == CONTENT
    assert len(server.asked) == 4


def test_mirrors_are_asked_in_order(server: Any, tmp_path: Path) -> None:
    wrong = server.put("wrong.zip", CONTENT[:-1] + b"\0")
    assert fetched(known(f"{server.url}/gone.zip", wrong, server.put("a.zip", CONTENT)), tmp_path) == CONTENT
    assert len(server.asked) == 3


def test_what_each_mirror_answered_is_said(server: Any, tmp_path: Path) -> None:
    wrong = server.put("wrong.zip", CONTENT[:-1] + b"\0")
    short = server.put("short.zip", CONTENT[:-1])
    with pytest.raises(DataError) as error:
        fetch(known(f"{server.url}/gone.zip", wrong, short), tmp_path, quiet, lambda seconds: None)
    message = str(error.value)
    assert "gone.zip: HTTP 404" in message and f"wanted {SHA256}" in message
    assert "299,999 bytes, wanted 300,000" in message
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "a.zip").exists()


def test_a_server_that_never_gives_a_byte_is_given_up(server: Any, tmp_path: Path) -> None:
    waits: list[float] = []
    url = server.put("a.zip", CONTENT, status=[503] * 99)
    with pytest.raises(DataError, match="HTTP 503"):
        fetch(known(url), tmp_path, quiet, waits.append)
    assert waits == [2.0, 4.0, 8.0, 16.0]


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/a\.zip: ConnectError"):
        fetch(known("http://127.0.0.1:9/a.zip"), tmp_path, quiet, lambda seconds: None)


def test_a_file_that_is_there_is_checked_not_fetched(server: Any, tmp_path: Path) -> None:
    url = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert fetched(known(url), tmp_path) == CONTENT and server.asked == []
    (tmp_path / "a.zip").write_bytes(CONTENT[1:])
    assert fetched(known(url), tmp_path) == CONTENT and server.asked == [None]


def test_a_file_of_the_users_is_refused_and_kept(tmp_path: Path) -> None:
    place = tmp_path / "a.zip"
    place.write_bytes(b"other")
    with pytest.raises(DataError, match="its sha256 is"):
        check_file(known(), place, quiet)
    assert place.read_bytes() == b"other"
    md5 = hashlib.md5(b"other").hexdigest()
    assert check_file(RemoteFile("a.zip", md5=md5), place, quiet).known
    assert not check_file(RemoteFile("a.zip"), place, quiet).known


PROGRAM = """
import os, sys
from pathlib import Path
from harness.acquire.download import fetch
from harness.acquire.known_sets import RemoteFile
url, folder, digest = sys.argv[1:]
for line in sys.stdin:
    child = os.fork()
    if not child:
        fetch(RemoteFile("a.zip", (url,), sha256=digest), Path(folder), lambda *told: None)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Imports once, then forks a process that fetches for each line."""


def test_killed_at_twenty_moments_it_comes_whole(server: Any, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(6 << 20)
    digest = hashlib.sha256(content).hexdigest()
    url = server.put("a.zip", content)
    command = [sys.executable, "-c", PROGRAM, url, str(tmp_path), digest]
    part, draw = tmp_path / "a.zip.part", random.Random(2)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        for moment in [*sorted(draw.sample(range(1, len(content)), 20)), None]:
            server.served["/a.zip"].hold_at = moment
            print("fetch", file=process.stdin, flush=True)
            child = int(process.stdout.readline())
            while moment is not None and not (part.is_file() and part.stat().st_size == moment):
                time.sleep(0.0005)
            if moment is not None:
                os.kill(child, signal.SIGKILL)
            assert int(process.stdout.readline()) == (0 if moment is None else signal.SIGKILL)
        process.stdin.close()
    assert (tmp_path / "a.zip").read_bytes() == content
    assert sum(wish is not None for wish in server.asked) == 20, "it went on rather than begin anew"
