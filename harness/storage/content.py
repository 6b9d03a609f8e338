"""What files contain, by sha256: each file is read once, and known again by its path, size, times and inode.

What has been read is remembered in small SQLite files of the cache, which several processes may use at once. They are
never needed: where they cannot be written files are read again each time, and one that is broken is made anew. As in
git's index, a file that changed less than two seconds before it was read is not remembered, since it could change
again without its times telling.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.storage.cache_in_use import cache_in_use
from harness.storage.digest_lists import DigestLists
from harness.storage.sqlite_file import connect, mending

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many things are done, and of how many."""
_Item = TypeVar("_Item")
ABSENT = "absent"
"""Stands for the content of a file that is not there."""
UNREADABLE = "unreadable"
"""Stands for the content of a file that the system does not let us read."""
RACY_NS = 2 * 10**9
"""Times of files may be as coarse as this (FAT: 2 s)."""
_CHUNK = 64
_ROWS = 4096
_LOOKUP = 500
_TABLE = (
    "CREATE TABLE IF NOT EXISTS contents "
    "(path BLOB PRIMARY KEY, state BLOB NOT NULL, sha256 BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID"
)


def _silent(text: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Contents:
    """Digests of files; `cache` is where they are remembered (None: nowhere), `progress` who is told.

    `seen` is what was asked for before (`of_one_opening`).
    """

    cache: Path | None = None
    progress: Progress = _silent
    seen: dict[str, str] | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of_one_opening(cache: Path | None, progress: Progress = _silent) -> Contents:
        """Digests for the opening of a data set, which asks for the same images several times: each is looked at once.

        What changes meanwhile is not seen: not for more than an opening.
        """
        return Contents(cache, progress, {})

    def of(self, paths: Sequence[Path]) -> list[str]:
        """Give the sha256 of each file in hexadecimal digits, ABSENT or UNREADABLE; the order is kept."""
        names = list(map(str, paths))  # which are quicker to look up than paths
        if self.seen is None:
            digests = self._look(names)
        else:
            self.seen.update(self._look([name for name in names if name not in self.seen]))
            digests = self.seen
        return [digests[name] for name in names]

    def _look(self, names: Sequence[str]) -> dict[str, str]:
        if not names:
            return {}
        from concurrent.futures import ThreadPoolExecutor  # not on import: `bench list` names models in no time

        with ThreadPoolExecutor(_threads()) as pool:
            chunks = _chunks(list(dict.fromkeys(names)), _LOOKUP)
            states = {name: state for found in pool.map(_states, chunks) for name, state in found}
            digests = {name: state for name, state in states.items() if isinstance(state, str)}
            there = {name: state for name, state in states.items() if isinstance(state, bytes)}
            known = self._known_list(there)
            if len(known) < len(there):
                known = self._known(there)
                read, settled = self._read([name for name in there if name not in known], pool)
                known |= read
                if settled and self._lists is not None:
                    self._lists.remember(there, known)
        return digests | known

    def _read(self, names: Sequence[str], pool: ThreadPoolExecutor) -> tuple[dict[str, str], bool]:
        """Read files in threads and remember what they hold; tell whether that is remembered of all."""
        digests: dict[str, str] = {}
        settled = True
        fresh: dict[str, tuple[bytes, str]] = {}
        for read in pool.map(_read_chunk, _chunks(names, _CHUNK)):
            for name, digest, state in read:
                digests[name] = digest
                if state is not None:
                    fresh[name] = (state, digest)
                settled = settled and state is not None
            if len(fresh) >= _ROWS:
                self._remember(fresh)
                fresh = {}
            if len(names) > _CHUNK:
                self.progress("reading the contents of files", len(digests), len(names))
        self._remember(fresh)
        return digests, settled

    @property
    def _lists(self) -> DigestLists | None:
        return None if self.cache is None else DigestLists(self.cache / "contents" / "lists-1.sqlite")

    def _known_list(self, states: Mapping[str, bytes]) -> dict[str, str]:
        """Look up all files at once; nothing where they are not known as a list."""
        return {} if self._lists is None else self._lists.known(states)

    @property
    def _store(self) -> Path | None:
        return None if self.cache is None else self.cache / "contents" / "sha256-1.sqlite"

    def _known(self, states: Mapping[str, bytes]) -> dict[str, str]:
        """Look up the files whose state is the remembered one."""
        if self._store is None or not self._store.is_file():
            return {}
        by_key = {_key(name): name for name in states}
        found: dict[str, str] = {}
        with mending(self._store), closing(connect(self._store, "ro")) as database:
            for keys in _chunks(list(by_key), _LOOKUP):
                marks = ",".join("?" * len(keys))
                query = f"SELECT path, state, sha256, seal FROM contents WHERE path IN ({marks})"
                for key, state, sha256, digest in database.execute(query, keys):
                    name = by_key[key]
                    if state == states[name] and digest == _digest(key, state, sha256):
                        found[name] = sha256.hex()
        return found

    def _remember(self, fresh: Mapping[str, tuple[bytes, str]]) -> None:
        if self._store is None or not fresh:
            return
        rows = [(_key(name), state, bytes.fromhex(digest)) for name, (state, digest) in fresh.items()]
        with_digest = [(*row, _digest(*row)) for row in rows]
        with mending(self._store):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            with closing(connect(self._store, "rwc")) as database, database:
                database.execute(_TABLE)
                database.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?)", with_digest)


def file_digest(path: Path) -> str:
    """Return the sha256 of one file; raises OSError where it cannot be read.

    It is read once a process, and below `digests_remembered` once a cache.
    """
    return _file_digest(path.resolve(), _state_of(path.stat()), cache_in_use())


@lru_cache(maxsize=256)
def _file_digest(path: Path, state: bytes, cache: Path | None) -> str:
    (digest,) = Contents(cache).of([path])
    if digest in (ABSENT, UNREADABLE):
        with path.open("rb"):  # the system says why
            pass
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
    return digest


def _threads() -> int:
    return min(32, (os.cpu_count() or 1) + 4)


def _chunks(paths: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _state_of(stat: os.stat_result) -> bytes:
    """Digest what changes with a file; the time of its inode's change cannot be set back, unlike that of its bytes."""
    changed = stat.st_ctime_ns if os.name == "posix" else 0
    return _short(f"{stat.st_size} {stat.st_mtime_ns} {changed} {stat.st_ino}".encode())


def _states(names: Sequence[str]) -> list[tuple[str, bytes | str]]:
    return [(name, _state(name)) for name in names]


def _state(name: str) -> bytes | str:
    try:
        return _state_of(os.stat(name))  # noqa: PTH116 - a Path takes ten times as long to make
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return UNREADABLE


def _read_chunk(names: Sequence[str]) -> list[tuple[str, str, bytes | None]]:
    return [(name, *_read_one(name)) for name in names]


def _read_one(name: str) -> tuple[str, bytes | None]:
    """Digest a file; its state comes with it unless it may change, or has changed, without being seen."""
    begun = time.time_ns()
    try:
        with Path(name).open("rb") as file:
            stat = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        return ABSENT, None
    except OSError:
        return UNREADABLE, None
    changed = stat.st_ctime_ns if os.name == "posix" else stat.st_mtime_ns
    settled = changed < begun - RACY_NS and _state_of(stat) == _state_of(after)
    return digest, _state_of(stat) if settled else None


def _key(name: str) -> bytes:
    absolute = name if name.startswith("/") else str(Path(name).absolute())
    return _short(os.fsencode(absolute))


def _digest(key: bytes, state: bytes, sha256: bytes) -> bytes:
    """Guard a row against flipped bits."""
    return hashlib.blake2b(key + state + sha256, digest_size=8).digest()


def _short(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
