"""COCO's panoptic annotations: a PNG of segment ids for each image, and a JSON that says what the segments are.

Whether a PNG's segments are those of the JSON is checked when the map is read, not when the split is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.sample import Note
from harness.storage.content import Contents
from tasks.formats.coco_entries import (
    MEND,
    Category,
    ImageEntry,
    is_integer,
    read_categories,
    read_entries,
    read_image_entries,
    require_inside,
    require_keys,
    require_unique,
)
from tasks.formats.coco_layout import SplitFile
from tasks.formats.digests import NOWHERE, digest_of_files
from tasks.formats.file_names import require_files
from tasks.formats.index_png import IndexMap, StoredLabels, read_png_header, read_segment_ids
from tasks.formats.json_files import read_json

LAST_ID = 256**3 - 1
_SEGMENT = {"id": "integer", "category_id": "integer"}


@dataclass(frozen=True)
class Segment:
    """A segment of a panoptic map; things have one each, a kind of stuff has one an image."""

    segment_id: int
    category_id: int
    iscrowd: bool
    area_px: int | None = None
    """The area that the file states; None where it states none."""


@dataclass(frozen=True)
class PanopticEntry:
    """An image, its PNG of segment ids, and its segments in the file's order; sizes in px."""

    image_id: int
    path: Path
    width: int
    height: int
    png: Path
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Panoptic:
    """The panoptic annotations of a split."""

    entries: tuple[PanopticEntry, ...]
    categories: tuple[Category, ...]
    sources: tuple[Path, ...]
    notes: tuple[Note, ...] = ()


def read_panoptic(file: SplitFile) -> Panoptic:
    """Read one split in the order of its `images`; raises DataError naming the file and the place."""
    path, maps = file.annotations, file.maps
    if maps is None:
        raise DataError(f"{path} has no folder of panoptic PNG maps beside it. Unpack the maps there.")
    content = read_json(path)
    images = read_image_entries(content, path, file.images)
    categories = read_panoptic_categories(content, path)
    known = frozenset(category.category_id for category in categories)
    rows = read_annotations(content, path)
    segments = read_segment_rows(rows, known, path)
    return Panoptic(join_maps(images, segments, maps, path), categories, (path,), crowd_notes(rows))


def read_panoptic_categories(content: Any, path: Path) -> tuple[Category, ...]:
    """Read categories, each of which says whether it is a thing (`isthing`, 0 or 1)."""
    categories = read_categories(content, path)
    for category in categories:
        if category.extra.get("isthing") not in (0, 1):
            raise DataError(
                f"{path}: the category {category.category_id} '{category.name}' has "
                f"{category.extra.get('isthing')!r} as its 'isthing'; wanted 0 or 1. {MEND}"
            )
    return categories


def is_thing(category: Category) -> bool:
    """Tell things, which are counted, from stuff."""
    return bool(category.extra["isthing"])


def read_annotations(content: Any, path: Path) -> list[dict[str, Any]]:
    """Take the list of annotations, one an image."""
    wanted = {"image_id": "integer", "file_name": "text", "segments_info": "list"}
    rows = read_entries(content, "annotations", wanted, path)
    require_unique(
        (row["image_id"] for row in rows), f"{path}: annotations[{{}}] is a second one for image {{}}. {MEND}"
    )
    for position, row in enumerate(rows):
        require_inside(row["file_name"], f"{path}: annotations[{position}]")
    return rows


def read_segment_rows(
    rows: Sequence[Mapping[str, Any]], known: frozenset[int], path: Path
) -> dict[int, tuple[str, tuple[Segment, ...]]]:
    """Check segments; returns the PNG's name and the segments of each image id."""
    found = {}
    for row in rows:
        seen: set[int] = set()
        segments = []
        for number, info in enumerate(row["segments_info"]):
            place = f"{path}: segments_info[{number}] of image {row['image_id']}"
            stated = isinstance(info, dict) and "iscrowd" in info
            require_keys(info, _SEGMENT | {"iscrowd": "flag"} if stated else _SEGMENT, place)
            if not 0 < info["id"] <= LAST_ID:
                raise DataError(f"{place} has the id {info['id']}; wanted 1..{LAST_ID}, since 0 is unlabelled. {MEND}")
            if info["id"] in seen:
                raise DataError(f"{place} repeats the segment id {info['id']}. {MEND}")
            if info["category_id"] not in known:
                raise DataError(f"{place} has the unknown category {info['category_id']}. {MEND}")
            seen.add(info["id"])
            area = info.get("area")
            stated_area = area if is_integer(area) and area >= 0 else None
            segments.append(Segment(info["id"], info["category_id"], bool(info.get("iscrowd", 0)), stated_area))
        found[row["image_id"]] = (row["file_name"], tuple(segments))
    return found


def crowd_notes(rows: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Say how many segments do not say whether they are crowds, and are taken for none."""
    infos = [info for row in rows for info in row["segments_info"]]
    return crowd_notes_of_segments(sum("iscrowd" not in info for info in infos), len(infos))


def crowd_notes_of_segments(lacking: int, total: int) -> tuple[Note, ...]:
    """Say so where their number is known."""
    text = f"{lacking} of {total} segments do not say 'iscrowd' and are taken for no crowds"
    return (Note(text, None, lacking, total),) if lacking else ()


def join_maps(
    images: Sequence[ImageEntry], segments: Mapping[int, tuple[str, tuple[Segment, ...]]], maps: Path, path: Path
) -> tuple[PanopticEntry, ...]:
    """Give each image its map; checks that all maps are there and of their image's size."""
    known = {image.image_id for image in images}
    strangers = [image_id for image_id in segments if image_id not in known]
    lacking = [image.image_id for image in images if image.image_id not in segments]
    for ids, what in ((strangers, "annotates {} images that it does not list"), (lacking, "has no annotation of {}")):
        if ids:
            raise DataError(f"{path} {what.format(len(ids))} (first: {', '.join(map(str, ids[:3]))}). {MEND}")
    pngs = require_files([maps / segments[image.image_id][0] for image in images], path, maps)
    entries = tuple(
        PanopticEntry(i.image_id, i.path, i.width, i.height, png, segments[i.image_id][1])
        for i, png in zip(images, pngs, strict=True)
    )
    require_map_sizes(entries, path)
    return entries


def require_map_sizes(entries: Sequence[PanopticEntry], path: Path) -> None:
    """Check by their headers that maps have the sizes of their images in `path`; raises DataError."""
    for entry in entries:
        header = read_png_header(entry.png)
        if (header.width, header.height) != (entry.width, entry.height):
            raise DataError(
                f"{entry.png} has {header.width} x {header.height} px; wanted {entry.width} x {entry.height}, the size "
                f"of image {entry.image_id} in {path}. Fetch the maps again."
            )


def segment_map(entry: PanopticEntry) -> StoredLabels:
    """Read segment ids, int32 `[H, W]`, 0 where unlabelled; raises DataError unless PNG and JSON have the same ones."""
    ids = read_segment_ids(entry.png)
    if ids.shape != (entry.height, entry.width):
        raise DataError(f"{entry.png} has {ids.shape[1]} x {ids.shape[0]} px; wanted {entry.width} x {entry.height}.")
    present, counts = np.unique(ids, return_counts=True)
    stated = {segment.segment_id for segment in entry.segments}
    strange = [(int(i), int(n)) for i, n in zip(present, counts, strict=True) if i and int(i) not in stated]
    if strange:
        raise DataError(
            f"{entry.png} has {len(strange)} segments that the JSON does not describe (first: id {strange[0][0]}, "
            f"{strange[0][1]} pixels). Fetch maps and JSON of one version."
        )
    lacking = sorted(stated.difference(present.tolist()))
    if lacking:
        raise DataError(
            f"{entry.png} lacks {len(lacking)} of the {len(stated)} segments of image {entry.image_id} (first: id "
            f"{lacking[0]}). Fetch maps and JSON of one version."
        )
    return ids


def panoptic_semantic_map(entry: PanopticEntry, category_to_index: Mapping[int, int], ignore: int = 255) -> IndexMap:
    """Read class indices `[H, W]`; `ignore` for crowds, unlabelled pixels and categories without an index.

    uint8 where all values fit, else int16. Raises ValueError when `ignore` is the index of a class.
    """
    if ignore in category_to_index.values():
        raise ValueError(f"{ignore} cannot mean both a class and ignored pixels; take -1")
    ids = segment_map(entry)
    meaning = {0: ignore} | {
        segment.segment_id: ignore if segment.iscrowd else category_to_index.get(segment.category_id, ignore)
        for segment in entry.segments
    }
    small = 0 <= ignore <= 255 and max(category_to_index.values(), default=0) <= 255
    known = np.array(sorted(meaning), np.int32)
    values = np.array([meaning[i] for i in sorted(meaning)])
    narrow: IndexMap = values.astype(np.uint8) if small else values.astype(np.int16)
    return narrow[np.searchsorted(known, ids)]


def digest_of_panoptic(panoptic: Panoptic, contents: Contents = NOWHERE) -> str:
    """Digest the JSON and the PNG maps by their bytes, and the names and bytes of the images."""
    files = [*panoptic.sources, *(entry.png for entry in panoptic.entries)]
    return digest_of_files((), files, ((entry.path.name, entry.path) for entry in panoptic.entries), contents)
