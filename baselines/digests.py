"""Digests of weight files, computed once a process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """Return the sha256 of a file; the same size and time of change are taken for the same content."""
    stat = path.stat()
    return _file_digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


def text_digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of a text's sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _file_digest(path: Path, size_bytes: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
