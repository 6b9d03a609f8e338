"""Digests of a data set: the bytes of its annotations, the names and sizes of its images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of_files(facts: Iterable[str], annotations: Iterable[Path], images: Iterable[tuple[str, Path]]) -> str:
    """Digest facts such as labels, the bytes of annotation files, and (name, size in bytes) of images.

    An image that is not there, as where only annotations are scored, counts by its name.
    """
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode() + b"\n")
    for path in annotations:
        content = path.read_bytes()
        digest.update(f"{path.name}:{len(content)}\n".encode() + content)
    for name, path in images:
        digest.update(f"{name}:{path.stat().st_size if path.is_file() else 'absent'}\n".encode())
    return digest.hexdigest()
