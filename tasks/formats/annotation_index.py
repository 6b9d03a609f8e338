"""Annotation files are parsed once: what they say lies in the cache, memory-mapped, by the sha256 of their bytes.

An index holds only what its reader has checked. A file that has a fault, or that only Python's own JSON parser takes
(NaN, lone surrogates, a byte order mark), gets none: it is read as if there were no index, which words the fault.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from harness.collector import collection_paused
from harness.errors import DataError
from harness.inputs.sealed_files import find_or_make
from harness.protocols import NOTICE
from harness.storage.content import ABSENT, UNREADABLE, Contents
from tasks.formats.json_files import GZIP
from tasks.formats.mapped_columns import Column, ColumnWriter, mapped_columns

INDEX_VERSION = 1
"""Raised whenever the same file would get another index."""
_BLOCK = 2**24

Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number as annotations may have it (`coco_entries.is_integer`)."""


class _NoIndexError(Exception):
    """A file that is not what an index can be made of."""


@dataclass(frozen=True)
class AnnotationIndex:
    """What a file says: arrays, and notes that are JSON-able."""

    columns: Mapping[str, Column]
    notes: Mapping[str, Any]


Write = Callable[[bytes, ColumnWriter], Mapping[str, Any]]
"""Takes the JSON text of a file, writes columns and returns notes."""


class ObjectFile(msgspec.Struct):
    """What a file of objects or segments says, as text: taken apart by one look at all of it."""

    annotations: list[msgspec.Raw]
    images: msgspec.Raw = msgspec.Raw(b"null")
    categories: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def lists(self) -> dict[str, Any]:
        """Its images and categories, as Python's own objects."""
        return {"images": msgspec.json.decode(self.images), "categories": msgspec.json.decode(self.categories)}


def find_index(annotations: Path, kind: str, write: Write, contents: Contents) -> AnnotationIndex | None:
    """Find a file's index in the cache of `contents`, or have it made.

    None where there is no cache, or where no index can be made of the file: then it must be read itself.
    """
    cache = contents.cache
    (digest,) = contents.of([annotations]) if cache else (ABSENT,)
    if cache is None or digest in (ABSENT, UNREADABLE):
        return None
    path = cache / "annotations" / f"{kind}-{INDEX_VERSION}-{digest[:32]}.columns"
    try:
        notes = find_or_make(path, lambda place: _make(annotations, digest, write, place), contents)
        return AnnotationIndex(mapped_columns(path, notes["columns"]), notes)
    except (DataError, _NoIndexError, msgspec.MsgspecError, UnicodeError, RecursionError, EOFError, zlib.error):
        return None
    except OSError as error:
        text = f"{path.parent} cannot hold an index of {annotations.name} ({error.strerror}): each job parses it anew"
        contents.progress(text, 0, NOTICE)
        return None


def _make(annotations: Path, digest: str, write: Write, place: Path) -> Mapping[str, Any]:
    content = annotations.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise _NoIndexError("it has changed since its digest was taken")
    if content.startswith(GZIP):
        content = gzip.decompress(content)
    _require_utf8(content)
    with collection_paused(), place.open("wb") as file:
        writer = ColumnWriter(file)
        notes = write(content, writer)
    return {**notes, "columns": writer.layout}


def _require_utf8(content: bytes) -> None:
    """Raise UnicodeDecodeError as a parser would: text that is only skipped is not looked at by msgspec."""
    if not content.isascii():
        decoder = codecs.getincrementaldecoder("utf-8")()
        for start in range(0, len(content), _BLOCK):
            decoder.decode(content[start : start + _BLOCK])
        decoder.decode(b"", final=True)
