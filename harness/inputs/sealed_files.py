"""Files of the cache with notes beside them, which hold the sha256 of what was written.

Both are looked at whenever the file is opened: what is not there, or is not what was written, is made again. The file
is read for that once, and later known by its times and inode (`harness.storage.content`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.files import one_at_a_time, replace_atomically
from harness.protocols import NOTICE
from harness.storage.content import Contents
from harness.storage.digest import with_digest, without_digest

_SHA256 = "sha256"

Make = Callable[[Path], Mapping[str, Any]]
"""Writes a file at a path and returns notes about it, JSON-able."""


def find_or_make(path: Path, make: Make, contents: Contents) -> dict[str, Any]:
    """Find a file and return its notes, or have it made; the notes lie beside it, with the suffix .json.

    One process at a time makes it. Raises whatever `make` does.
    """
    notes = _read(path, contents)
    if notes is not None:
        return notes
    with one_at_a_time(notes_path_of(path)):
        notes = _read(path, contents)
        if notes is not None:
            return notes
        if notes_path_of(path).is_file():
            contents.progress(f"{path} is not what was written there: making it again", 0, NOTICE)
        return _make(path, make)


def notes_path_of(path: Path) -> Path:
    """Where the notes of a file lie."""
    return path.with_suffix(".json")


def _make(path: Path, make: Make) -> dict[str, Any]:
    """Write the file, then its notes, so that half of them is never trusted."""
    with replace_atomically(path) as temporary:
        notes = dict(make(temporary))
        (digest,) = Contents().of([temporary])
    with replace_atomically(notes_path_of(path)) as temporary:
        temporary.write_bytes(with_digest({**notes, _SHA256: digest}))
    return notes


def _read(path: Path, contents: Contents) -> dict[str, Any] | None:
    """Return the notes of a file that is as it was written, else None."""
    try:
        notes = without_digest(_object(json.loads(notes_path_of(path).read_bytes())))
    except (OSError, ValueError, RecursionError):  # a SealError is a ValueError, as is text that is not UTF-8
        return None
    if contents.of([path]) != [notes.pop(_SHA256, None)]:
        return None
    return notes


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content
