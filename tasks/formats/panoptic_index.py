"""COCO's panoptic annotations through an index in the cache: segments as arrays, maps as they lie on the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, overload

import msgspec
import numpy as np

from harness.errors import DataError
from harness.storage.content import Contents
from tasks.formats.annotation_index import Integer, ObjectFile, find_index
from tasks.formats.coco_entries import Category, ImageEntry, is_integer, read_image_entries, require_inside
from tasks.formats.coco_layout import SplitFile
from tasks.formats.coco_panoptic import (
    LAST_ID,
    Panoptic,
    PanopticEntry,
    Segment,
    crowd_notes_of_segments,
    read_panoptic,
    read_panoptic_categories,
    require_map_sizes,
)
from tasks.formats.file_names import require_names
from tasks.formats.mapped_columns import Column, ColumnWriter

_CHUNK = 1024
"""Annotations that are Python objects at once."""
_STATES_NO_AREA = -1


def open_panoptic(file: SplitFile, contents: Contents) -> Panoptic:
    """Read one split as `read_panoptic` does; the file is parsed only where the cache has no index of it."""
    index = None if file.maps is None else find_index(file.annotations, "panoptic", _write, contents)
    if index is None or file.maps is None:
        return read_panoptic(file)
    columns, notes = index.columns, index.notes
    files = (columns["file_names"], file.images), (columns["map_names"], file.maps)
    images, maps = (
        require_names(msgspec.json.decode(names.data, type=list[str]), file.annotations, folder)
        for names, folder in files
    )
    facts = [columns[name].tolist() for name in ("image_ids", "widths", "heights", "bounds")]
    ids, widths, heights, bounds = facts
    segments = (MappedSegments(columns, start, stop) for start, stop in pairwise(bounds))
    entries = tuple(map(PanopticEntry, ids, images, widths, heights, maps, segments))
    require_map_sizes(entries, file.annotations)
    return Panoptic(
        entries,
        tuple(Category(*category) for category in notes["categories"]),
        (file.annotations,),
        crowd_notes_of_segments(notes["lacking"], notes["total"]),
    )


@dataclass(frozen=True)
class MappedSegments(Sequence[Segment]):
    """The segments of an image, taken from mapped columns when they are asked for."""

    columns: Mapping[str, Column]
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @overload
    def __getitem__(self, index: int) -> Segment: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Segment]: ...
    def __getitem__(self, index: int | slice) -> Segment | Sequence[Segment]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        row = range(self.start, self.stop)[index]
        area = int(self.columns["areas"][row])
        return Segment(
            int(self.columns["segment_ids"][row]),
            int(self.columns["category_ids"][row]),
            bool(self.columns["iscrowd"][row]),
            None if area == _STATES_NO_AREA else area,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self.start, self.stop))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)


class _Segment(msgspec.Struct):
    """A segment with the keys that `read_panoptic` wants of it."""

    id: Annotated[int, msgspec.Meta(ge=1, le=LAST_ID)]
    category_id: Integer
    iscrowd: Literal[0, 1] | msgspec.UnsetType = msgspec.UNSET
    area: Any = None

    @property
    def stated_area(self) -> int:
        """The area in px, or that there is none."""
        return self.area if is_integer(self.area) and self.area >= 0 else _STATES_NO_AREA


class _Entry(msgspec.Struct):
    """An image's annotation likewise."""

    image_id: Integer
    file_name: str
    segments_info: list[_Segment]


_entries = msgspec.json.Decoder(list[_Entry])


def _write(text: bytes, writer: ColumnWriter) -> Mapping[str, Any]:
    """Check all that the file says, as `read_panoptic` does, and write it in the order of its images."""
    path = Path("panoptic.json")  # nobody sees it: whatever is wrong is worded by the reader
    file = msgspec.json.decode(text, type=ObjectFile)
    content = file.lists
    images, categories = read_image_entries(content, path, None), read_panoptic_categories(content, path)
    annotations = file.annotations
    reader = _Reader(images, frozenset(category.category_id for category in categories))
    for start in range(0, len(annotations), _CHUNK):
        reader.read(annotations[start : start + _CHUNK])
    reader.write(writer)
    sides = {"image_ids": "image_id", "widths": "width", "heights": "height"}
    for column, name in sides.items():
        writer.append(column, np.array([getattr(image, name) for image in images], np.int64))
    return {
        "categories": [[c.category_id, c.name, c.extra] for c in categories],
        "lacking": reader.lacking,
        "total": reader.total,
    }


class _Reader:
    """Takes annotations in part by part, so that few of them are Python objects at once."""

    def __init__(self, images: Sequence[ImageEntry], known: frozenset[int]) -> None:
        self._images, self._known = images, known
        self._maps: dict[int, str] = {}
        self._segments: dict[int, Column] = {}
        self.lacking = self.total = 0

    def read(self, annotations: Sequence[msgspec.Raw]) -> None:
        """Check some annotations and keep their segments, int64 `[n, 4]`: id, category, crowd and area."""
        for entry in _entries.decode(b"[" + b",".join(annotations) + b"]"):
            segments = entry.segments_info
            distinct = len({segment.id for segment in segments}) == len(segments)
            known = self._known.issuperset(segment.category_id for segment in segments)
            if not (distinct and known) or entry.image_id in self._maps:
                raise DataError("an id is repeated or unknown")
            require_inside(entry.file_name, "annotations")
            rows = [(s.id, s.category_id, s.iscrowd == 1, s.stated_area) for s in segments]
            self._maps[entry.image_id] = entry.file_name
            self._segments[entry.image_id] = np.array(rows, np.int64).reshape(-1, 4)
            self.total += len(segments)
            self.lacking += sum(segment.iscrowd is msgspec.UNSET for segment in segments)

    def write(self, writer: ColumnWriter) -> None:
        """Write what belongs to each image; raises DataError where images and annotations are not the same."""
        ids = [image.image_id for image in self._images]
        if set(ids) != self._maps.keys():
            raise DataError("an image or its annotation is missing")
        ordered = [self._segments[image_id] for image_id in ids]
        table = np.concatenate(ordered)
        writer.append("bounds", np.cumsum([0, *map(len, ordered)]))
        columns = {"segment_ids": np.int32, "category_ids": np.int64, "iscrowd": np.bool_, "areas": np.int64}
        for number, (name, dtype) in enumerate(columns.items()):
            writer.append(name, table[:, number].astype(dtype))
        names = {"file_names": [i.path.as_posix() for i in self._images], "map_names": [self._maps[i] for i in ids]}
        for name, texts in names.items():
            writer.append(name, np.frombuffer(msgspec.json.encode(texts), np.uint8))
