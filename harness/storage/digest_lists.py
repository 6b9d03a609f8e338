"""Digests of long lists of files, remembered as one row a list: a tenth of the time that a row a file takes to find.

A list is known again by the names of its files, in their order, and is what it was while all their states are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.storage.sqlite_file import connect, mending

LONG = 1000
"""Files from which on a list is remembered."""
_BYTES = 32  # of a sha256
_TABLE = (
    "CREATE TABLE IF NOT EXISTS lists "
    "(names BLOB PRIMARY KEY, states BLOB NOT NULL, digests BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True)
class DigestLists:
    """Lists that are remembered in an SQLite file of the cache, which may be broken, or gone, or not be writable."""

    store: Path

    def known(self, states: Mapping[str, bytes]) -> dict[str, str]:
        """The sha256 in hexadecimal digits of files, given by name with their states; none where one has changed."""
        if len(states) < LONG or not self.store.is_file():
            return {}
        names, wanted = _names_and_states(states)
        with mending(self.store), closing(connect(self.store, "ro")) as database:
            query = "SELECT states, digests, seal FROM lists WHERE names = ?"
            for found, digests, seal in database.execute(query, (names,)):
                if found == wanted and len(digests) == _BYTES * len(states) and seal == _seal(names, found, digests):
                    digits, width = digests.hex(), 2 * _BYTES
                    return {name: digits[width * i : width * (i + 1)] for i, name in enumerate(states)}
        return {}

    def remember(self, states: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
        """Remember the digests of all these files, none of which may change without its state."""
        if len(states) < LONG:
            return
        names, wanted = _names_and_states(states)
        joined = bytes.fromhex("".join(digests[name] for name in states))
        with mending(self.store):
            self.store.parent.mkdir(parents=True, exist_ok=True)
            with closing(connect(self.store, "rwc")) as database, database:
                database.execute(_TABLE)
                row = names, wanted, joined, _seal(names, wanted, joined)
                database.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)", row)


def _names_and_states(states: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Digests of the names, which may be of the working directory, and of the states."""
    here = os.fsencode(Path.cwd())
    names = b"\0".join([here, *map(os.fsencode, states)])
    return _short(names), _short(b"".join(states.values()))


def _seal(names: bytes, states: bytes, digests: bytes) -> bytes:
    """Guard a row against flipped bits."""
    return hashlib.blake2b(names + states + digests, digest_size=8).digest()


def _short(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
