"""What takes long to find out, remembered by a digest of all that it was found out of: stale values have no name left.

Values are small and lie in one SQLite file of the cache for each kind. They are never needed: where the file cannot be
written everything is found out each time, one that is broken is made anew, and one that has grown large begins again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.storage.cache_in_use import cache_in_use
from harness.storage.sqlite_file import connect, mending

_LOOKUP = 500
_MOST_BYTES = 256 * 2**20
_TABLE = (
    "CREATE TABLE IF NOT EXISTS known (name BLOB PRIMARY KEY, value BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Remembered:
    """Values of one kind in a cache (None: nowhere); names are digests of 16 bytes."""

    kind: str
    cache: Path | None

    @staticmethod
    def here(kind: str) -> Remembered:
        """Those of the cache that this process uses (`cache_in_use.digests_remembered`)."""
        return Remembered(kind, cache_in_use())

    def find(self, names: Sequence[bytes]) -> dict[bytes, bytes]:
        """Look up some names; what is not known, or whose bytes were hit, is left out."""
        found: dict[bytes, bytes] = {}
        path = self._path
        if path is None or not path.is_file():
            return found
        with mending(path), closing(connect(path, "ro")) as database:
            for some in _chunks(list(dict.fromkeys(names))):
                query = f"SELECT name, value, seal FROM known WHERE name IN ({','.join('?' * len(some))})"
                found |= {
                    name: value for name, value, seal in database.execute(query, some) if seal == _seal(name, value)
                }
        return found

    def keep(self, values: Mapping[bytes, bytes]) -> None:
        """Remember some values."""
        path = self._path
        if path is None or not values:
            return
        rows = [(name, value, _seal(name, value)) for name, value in values.items()]
        with mending(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.stat().st_size > _MOST_BYTES:
                path.unlink(missing_ok=True)
            with closing(connect(path, "rwc")) as database, database:
                database.execute(_TABLE)
                database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)

    @property
    def _path(self) -> Path | None:
        return None if self.cache is None else self.cache / "remembered" / f"{self.kind}-1.sqlite"


def name_of_content(*parts: bytes | str) -> bytes:
    """Name a value by all that it was found out of, in this order."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        whole.update(b"%d:" % len(content))
        whole.update(content)
    return whole.digest()


@cache
def own_code(packages: tuple[str, ...] = ()) -> str:
    """Digest the harness's own source and the versions of packages: what is remembered must not outlive a change."""
    root = Path(__file__).parents[1]
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(root).as_posix()} {len(content)} ".encode())
        whole.update(content)
    for name in packages:
        whole.update(f"{name} {_version(name)} ".encode())
    return whole.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _seal(name: bytes, value: bytes) -> bytes:
    """Guard a row against flipped bits."""
    return hashlib.blake2b(name + value, digest_size=8).digest()


def _chunks(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), _LOOKUP):
        yield names[start : start + _LOOKUP]
