"""Fetches a file over HTTP so that a cut connection, a killed process or a changed file costs no more than it must.

What came so far lies in `NAME.part`; beside it `NAME.part.json` says of which version (its ETag or date). The next
attempt asks for the rest of that version alone (`Range` with `If-Range`, RFC 9110 sections 13.1.5 and 14.2); a server
that answers with the whole file, with another version or with 416 is believed, and the file begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from harness.acquire.known_sets import RemoteFile
from harness.errors import DataError
from harness.files import naming, one_at_a_time, replace_atomically
from harness.protocols import NOTICE

Progress = Callable[[str, int, int], None]
_CHUNK_BYTES = 1 << 20
MEGABYTE = 1_000_000
"""Progress is told in these, as sizes of downloads are."""
_TRIES_WITHOUT_PROGRESS = 5
_TIMEOUT = httpx.Timeout(30.0, read=60.0)
_GONE = (401, 403, 404, 410, 451)
"""Answers that will be the same the next time: the next mirror is asked."""


@dataclass(frozen=True)
class FetchedFile:
    """A file that has come whole: its place, bytes and sha256, and whether the registry knew a digest of it."""

    path: Path
    bytes: int
    sha256: str
    known: bool


@dataclass(frozen=True)
class _Version:
    """Which version of which file a part is of, and how many bytes the whole has, where the server said so."""

    url: str
    validator: str | None
    total: int | None


class _Interrupted(Exception):
    """A transfer that ended early; what came is kept."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _NotServed(Exception):
    """A URL that gives nothing, or something else than was wanted; another mirror may."""


def fetch(
    file: RemoteFile, folder: Path, progress: Progress, pause: Callable[[float], None] = time.sleep
) -> FetchedFile:
    """Fetch a file into a folder unless it is there whole.

    Raises DataError naming each mirror and what it answered, or the digest seen and wanted.
    """
    with new_client() as client:
        return fetch_with(client, file, folder, progress, pause)


def new_client() -> httpx.Client:
    """Make a client that many files can be fetched with: to make one takes longer than a small file."""
    return httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})


def fetch_with(
    client: httpx.Client, file: RemoteFile, folder: Path, progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> FetchedFile:  # fmt: skip
    """Fetch a file as `fetch` does, with a client of the caller's, which several threads may share."""
    path = folder / file.name
    with naming(path), one_at_a_time(path):
        if path.is_file():
            with suppress(_NotServed):
                return _checked(file, path, path, progress)
        said = []
        for url in file.urls:
            for resumes in (_size(_part(path)) > 0, False):
                try:
                    _fetch_from(client, url, file, path, (progress, pause))
                    fetched = _checked(file, _part(path), path, progress)
                    _publish(path)
                    return fetched
                except _NotServed as reason:
                    if resumes and not _size(_part(path)):
                        continue  # another version's beginning: once more from the first byte
                    said.append(f"{url}: {reason}")
                    break
    raise DataError(
        f"{file.name} could not be fetched. {'; '.join(said)}. Run the same command again to go on from there."
    )


def check_file(file: RemoteFile, path: Path, progress: Progress) -> FetchedFile:
    """Digest a file that the user brings; raises DataError where it is not the one that the registry knows."""
    try:
        return _checked(file, path, path, progress, keep=True)
    except _NotServed as reason:
        raise DataError(f"{path}: {reason}. Bring the file that the data set's page serves.") from None


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _side(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def _publish(path: Path) -> None:
    part = _part(path)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    _side(path).unlink(missing_ok=True)


def _checked(file: RemoteFile, seen: Path, path: Path, progress: Progress, *, keep: bool = False) -> FetchedFile:
    """Digest what came; a file that is not the known one is removed, unless it is the user's, and refused."""
    size = seen.stat().st_size
    digests = {"sha256": hashlib.sha256()} | ({"md5": hashlib.md5(usedforsecurity=False)} if file.md5 else {})
    with seen.open("rb") as opened:
        done = 0
        while chunk := opened.read(_CHUNK_BYTES):
            for digest in digests.values():
                digest.update(chunk)
            done += len(chunk)
            progress(f"checking {file.name} [MB]", done // MEGABYTE, size // MEGABYTE)
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    wanted = {"sha256": file.sha256, "md5": file.md5}
    wrong = [name for name, digest in found.items() if wanted[name] not in (None, digest)]
    if wrong or file.bytes not in (None, size):
        if not keep:
            seen.unlink()
            _side(path).unlink(missing_ok=True)
        if wrong:
            raise _NotServed(f"its {wrong[0]} is {found[wrong[0]]}, wanted {wanted[wrong[0]]} ({size:,} bytes)")
        raise _NotServed(f"it has {size:,} bytes, wanted {file.bytes:,}")
    return FetchedFile(path, size, found["sha256"], file.has_known_digest)


def _fetch_from(
    client: httpx.Client, url: str, file: RemoteFile, path: Path, told: tuple[Progress, Callable[[float], None]]
) -> None:
    """Bring the part to the whole, attempt after attempt, as long as there is progress."""
    progress, pause = told
    idle = 0
    while True:
        before = _size(_part(path))
        try:
            _transfer(client, url, file, path, progress)
            return
        except _Interrupted as trouble:
            idle = 0 if _size(_part(path)) > before else idle + 1
            if idle >= _TRIES_WITHOUT_PROGRESS:
                raise _NotServed(str(trouble)) from None
            wait = trouble.wait_s if trouble.wait_s is not None else min(2.0**idle, 30.0)
            progress(f"{file.name}: {trouble}; again in {wait:.0f} s", 0, NOTICE)
            pause(wait)


def _transfer(client: httpx.Client, url: str, file: RemoteFile, path: Path, progress: Progress) -> None:
    """Ask once for what is missing and append it; raises _Interrupted or _NotServed."""
    part, version = _part(path), _read_side(path)
    start = _resumable(part, version, url, file)
    if start and start == (file.bytes or version.total):
        return  # it was whole, and its digest had not been taken
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and version.validator and version.url == url:
        headers["If-Range"] = version.validator
    try:
        with client.stream("GET", url, headers=headers) as answer:
            begin = _begin_of(answer, start, part)
            total = _total_of(answer, begin)
            if file.bytes is not None and total not in (None, file.bytes):
                raise _NotServed(f"it has {total:,} bytes, wanted {file.bytes:,}")
            _write_side(path, _Version(url, _validator(answer), total))
            _append(answer, part, begin, _told_in_megabytes(progress, file), total or file.bytes or 0)
    except httpx.HTTPError as error:
        raise _Interrupted(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
    if total is not None and _size(part) < total:
        raise _Interrupted(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _begin_of(answer: httpx.Response, start: int, part: Path) -> int:
    """Say at which byte an answer's content belongs; raises where there is none to use."""
    status = answer.status_code
    if status == 200:
        return 0
    if status == 206:
        match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if match and int(match[1]) == start:
            return start
        part.unlink(missing_ok=True)
        raise _Interrupted("the server sent another range than was asked for; beginning anew", 0.0)
    if status == 416 and start:
        part.unlink(missing_ok=True)
        raise _Interrupted("the server has no such range; beginning anew", 0.0)
    if status in _GONE:
        raise _NotServed(f"HTTP {status} {answer.reason_phrase}")
    raise _Interrupted(f"HTTP {status} {answer.reason_phrase}", _retry_after(answer))


def _append(answer: httpx.Response, part: Path, begin: int, told: Callable[[int, int], None], total: int) -> None:
    part.touch()
    with part.open("r+b") as file:
        file.truncate(begin)
        file.seek(begin)
        done = begin
        for chunk in answer.iter_raw():
            file.write(chunk)
            file.flush()  # what came is there for the next attempt, however this process ends
            done += len(chunk)
            told(done, total)


def _told_in_megabytes(progress: Progress, file: RemoteFile) -> Callable[[int, int], None]:
    def told(done: int, total: int) -> None:
        progress(f"fetching {file.name} [MB]", done // MEGABYTE, total // MEGABYTE)

    return told


def _resumable(part: Path, version: _Version, url: str, file: RemoteFile) -> int:
    """Say from which byte to go on: where only the same version can follow, or a digest would tell that it did not."""
    same = version.url == url and version.validator is not None
    return _size(part) if same or file.has_known_digest else 0


def _validator(answer: httpx.Response) -> str | None:
    """Name the version that was served: a strong ETag, else the date of its change."""
    tag = answer.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    found = answer.headers.get("Last-Modified")
    return None if found is None else str(found)


def _total_of(answer: httpx.Response, begin: int) -> int | None:
    match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if answer.status_code == 206 and match:
        return int(match[1])
    length = answer.headers.get("Content-Length", "")
    return begin + int(length) if length.isdigit() else None


def _retry_after(answer: httpx.Response) -> float | None:
    wish = answer.headers.get("Retry-After", "")
    return min(float(wish), 120.0) if wish.isdigit() else None


def _read_side(path: Path) -> _Version:
    try:
        content: dict[str, Any] = json.loads(_side(path).read_text(encoding="utf-8"))
        return _Version(**content)
    except (OSError, ValueError, TypeError):
        return _Version("", None, None)


def _write_side(path: Path, version: _Version) -> None:
    with replace_atomically(_side(path)) as temporary:
        temporary.write_text(json.dumps(asdict(version)), encoding="utf-8")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
