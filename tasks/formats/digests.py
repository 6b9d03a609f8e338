"""Digests of a data set: the bytes of all its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness.storage.content import Contents
from harness.text.spelling import name_bytes

DIGEST_VERSION = 2
"""Raised whenever the same files would get another digest. 2: images by their bytes; 1 took their size."""
NOWHERE = Contents()
"""Reads files without remembering what they hold."""


def digest_of_files(
    facts: Iterable[str],
    annotations: Iterable[Path],
    images: Iterable[tuple[str, Path]],
    contents: Contents = NOWHERE,
) -> str:
    """Digest facts such as labels, annotation files in their order, and images by name, all files by their bytes.

    An image that is not there, as where only annotations are scored, counts by its name.
    """
    named = [*((path.name, path) for path in annotations), *images]
    digest = hashlib.sha256(f"{DIGEST_VERSION}\n".encode())
    digest.update(name_bytes("".join(f"{fact}\n" for fact in facts)))
    pairs = zip(named, contents.of([path for _, path in named]), strict=True)
    digest.update(name_bytes("".join(f"{name}\0{content}\n" for (name, _), content in pairs)))
    return digest.hexdigest()
