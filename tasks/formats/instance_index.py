"""COCO's instance files through an index in the cache: boxes as arrays, masks as the text of the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import msgspec
import numpy as np

from harness.errors import DataError
from harness.processors import usable_processors
from harness.stats.shared_out import shared_out
from harness.storage.content import Contents
from tasks.formats.annotation_index import Integer, ObjectFile, find_index
from tasks.formats.coco_entries import (
    Category,
    ImageEntry,
    crowd_notes_of,
    read_categories,
    read_image_entries,
)
from tasks.formats.coco_instances import (
    KNOWN_EMPTY,
    ImageObjects,
    Instances,
    ObjectChecks,
    ObjectColumns,
    StatedObjects,
    empty_notes,
    read_instances,
)
from tasks.formats.file_names import require_names
from tasks.formats.mapped_columns import Column, ColumnWriter
from tasks.formats.segmentations import has_enough_points
from tasks.formats.stored_masks import StoredMasks

_CHUNK = 1024
"""Annotations that are Python objects at once."""
_WORTH_SHARING = 200_000  # annotations: to hand on the text of their masks takes a part of what it takes to check them


def open_instances(annotations: Path, images: Path | None, contents: Contents) -> Instances:
    """Read one split as `read_instances` does; the file is parsed only where the cache has no index of it."""
    index = find_index(annotations, "instances", _write, contents)
    if index is None:
        return read_instances(annotations, images)
    columns, notes = index.columns, index.notes
    names = msgspec.json.decode(columns["file_names"].data, type=list[str])
    paths = [Path(name) for name in names] if images is None else require_names(names, annotations, images)
    sides = columns["widths"].tolist(), columns["heights"].tolist()
    return Instances(
        images=tuple(map(ImageEntry, columns["image_ids"].tolist(), paths, *sides)),
        objects=MappedObjects(columns),
        categories=_categories(notes),
        sources=(annotations,),
        notes=(*empty_notes(notes["empty"], notes["total"]), *crowd_notes_of(notes["lacking"], notes["total"])),
    )


def open_categories(annotations: Path, contents: Contents) -> tuple[Category, ...]:
    """Read the categories of a file alone, in the order of their ids; raises DataError as `open_instances` does."""
    index = find_index(annotations, "instances", _write, contents)
    return read_instances(annotations, None).categories if index is None else _categories(index.notes)


def _categories(notes: Mapping[str, Any]) -> tuple[Category, ...]:
    return tuple(Category(*category) for category in notes["categories"])


@dataclass(frozen=True, eq=False)
class MappedObjects(Sequence[ImageObjects]):
    """The objects of each image, taken from mapped columns when they are asked for."""

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.columns["bounds"]) - 1

    @overload
    def __getitem__(self, index: int) -> ImageObjects: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ImageObjects]: ...
    def __getitem__(self, index: int | slice) -> ImageObjects | Sequence[ImageObjects]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        bounds = self.columns["bounds"]
        image = range(len(self))[index]
        return self._between(int(bounds[image]), int(bounds[image + 1]))

    def __iter__(self) -> Iterator[ImageObjects]:
        bounds = self.columns["bounds"].tolist()
        return map(self._between, bounds, bounds[1:])

    @property
    def with_none_or_crowds_only(self) -> tuple[int, int]:
        """How many images have no object, and how many have crowds or difficult objects only; no object is made."""
        bounds = np.asarray(self.columns["bounds"])
        crowds = np.append(0, np.cumsum(self.columns["iscrowd"]))
        objects = np.diff(bounds)
        return int((objects == 0).sum()), int(((objects > 0) & (np.diff(crowds[bounds]) == objects)).sum())

    def _between(self, start: int, stop: int) -> ImageObjects:
        part = slice(start, stop)
        c = self.columns
        masks = StoredMasks(c["mask_text"], c["mask_starts"][part], c["mask_stops"][part])
        return ImageObjects(
            c["ids"][part], c["category_index"][part], c["boxes"][part], c["stated_boxes"][part], c["areas"][part],
            c["iscrowd"][part], masks,
        )  # fmt: skip


_NO_MASK = msgspec.Raw(b"null")


class _Annotation(msgspec.Struct):
    """An annotation with the keys that `read_instances` wants of it; its mask as it is written."""

    id: Integer
    image_id: Integer
    category_id: Integer
    bbox: list[float]
    iscrowd: Literal[0, 1] | msgspec.UnsetType = msgspec.UNSET
    area: float | None = None
    segmentation: msgspec.Raw = _NO_MASK


_annotations = msgspec.json.Decoder(list[_Annotation])
_masks = msgspec.json.Decoder(list[list[list[float]] | dict[str, Any] | None])


def _write(text: bytes, writer: ColumnWriter) -> Mapping[str, Any]:
    """Check all that the file says, as `read_instances` does, and write it ordered by image."""
    path = Path("annotations.json")  # nobody sees it: whatever is wrong is worded by the reader
    file = msgspec.json.decode(text, type=ObjectFile)
    content = file.lists
    images, categories = read_image_entries(content, path, None), read_categories(content, path)
    entries = file.annotations
    checks = ObjectChecks(images, categories, path)
    processes = usable_processors() if len(entries) >= _WORTH_SHARING else 1
    size = max(1, math.ceil(len(entries) / processes))
    parts = [entries[start : start + size] for start in range(0, max(1, len(entries)), size)]
    read = [_kept(part, writer) for part in shared_out([partial(_read_all, p, checks) for p in parts], processes)]
    seen = [number for part in read for number in part.seen]
    if len(set(seen)) != len(seen):
        raise DataError("an id is repeated")
    _write_objects(read, len(images), writer)
    names = [image.path.as_posix() for image in images]
    writer.append("file_names", np.frombuffer(msgspec.json.encode(names), np.uint8))
    sides = {"image_ids": "image_id", "widths": "width", "heights": "height"}
    for column, name in sides.items():
        writer.append(column, np.array([getattr(image, name) for image in images], np.int64))
    return {
        "categories": [[c.category_id, c.name, c.extra] for c in categories],
        "empty": len(seen) - sum(len(part.objects.ids) for part in read),
        "lacking": sum(part.lacking for part in read),
        "total": len(seen),
    }


@dataclass(frozen=True)
class _Part:
    """What some annotations say: all that are there, and those that have been kept."""

    objects: ObjectColumns
    mask_lengths: list[int]
    seen: list[int]
    lacking: int
    mask_text: bytes


def _read(entries: Sequence[msgspec.Raw], checks: ObjectChecks) -> _Part:
    """Check some annotations: few, since all of them are Python objects at once."""
    rows = _annotations.decode(b"[" + b",".join(entries) + b"]")
    seen, lacking = [row.id for row in rows], sum(row.iscrowd is msgspec.UNSET for row in rows)
    rows = [row for row in rows if not ((row.image_id, row.id) in KNOWN_EMPTY and 0 in row.bbox[2:])]
    texts = [bytes(row.segmentation) for row in rows]
    masks = [mask or None for mask in _masks.decode(b"[" + b",".join(texts) + b"]")]
    texts = [text if mask else b"" for text, mask in zip(texts, masks, strict=True)]
    areas = [row.area for row in rows]
    if None not in areas:  # then polygons need not be drawn, and their numbers are known to be some
        masks = [None if has_enough_points(mask) else mask for mask in masks]
    objects = checks.checked(
        StatedObjects(
            [row.id for row in rows], [row.image_id for row in rows], [row.category_id for row in rows],
            [row.bbox for row in rows], [row.iscrowd is not msgspec.UNSET and row.iscrowd for row in rows],
            areas, masks,
        )
    )  # fmt: skip
    return _Part(objects, list(map(len, texts)), seen, lacking, b"".join(texts))


def _read_all(entries: Sequence[msgspec.Raw], checks: ObjectChecks) -> _Part:
    """Check many annotations, few at a time."""
    parts = [_read(entries[start : start + _CHUNK], checks) for start in range(0, max(1, len(entries)), _CHUNK)]
    return _Part(
        _joined([part.objects for part in parts]),
        [length for part in parts for length in part.mask_lengths],
        [number for part in parts for number in part.seen],
        sum(part.lacking for part in parts),
        b"".join(part.mask_text for part in parts),
    )


def _kept(part: _Part, writer: ColumnWriter) -> _Part:
    """Write the text of the masks, which is most of a file, and let go of it."""
    writer.append("mask_text", np.frombuffer(part.mask_text, np.uint8))
    return replace(part, mask_text=b"")


def _joined(parts: Sequence[ObjectColumns]) -> ObjectColumns:
    columns = [field.name for field in fields(ObjectColumns)]
    return ObjectColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def _write_objects(read: Sequence[_Part], images: int, writer: ColumnWriter) -> None:
    objects = _joined([part.objects for part in read])
    order = np.argsort(objects.image_index, kind="stable")
    writer.append("bounds", np.searchsorted(objects.image_index[order], np.arange(images + 1)))
    for name in ("ids", "category_index", "boxes", "stated_boxes", "areas", "iscrowd"):
        writer.append(name, getattr(objects, name)[order])
    lengths = np.array([length for part in read for length in part.mask_lengths], np.int64)
    stops = np.cumsum(lengths)
    writer.append("mask_starts", (stops - lengths)[order])
    writer.append("mask_stops", stops[order])
