"""Writes splits to disk, in parallel: a killed or doubled run never leaves a half split that looks whole.

Every file is written apart and then moved to its place; the scenes file of a split is moved last and
is what makes the split count as present. The bytes depend on the recipe alone, so two processes that write
the same split at once overwrite each other's files with the same content.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from tasks.scenes import coco_rows, layout
from tasks.scenes.drawing import caption_image, draw_image
from tasks.scenes.png import png_bytes
from tasks.scenes.records import scene_row
from tasks.scenes.splits import SPLITS

Progress = Callable[[str, int, int], None]
"""Called with (split, images done, images in all)."""

_CHUNK: Final = 100
_LICENCE: Final = [{"id": 1, "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}]
Rows = dict[str, list[dict[str, Any]]]


def write_splits(
    root: Path,
    splits: Sequence[str],
    *,
    processes: int = 2,
    progress: Progress | None = None,
    limit: int | None = None,
) -> None:
    """Generate the splits that are not complete under `root`.

    `limit` writes only so many images of each: for tests and previews, never into a cache.
    """
    missing = [split for split in dict.fromkeys(splits) if not layout.is_complete(root, split)]
    for split in missing:
        _make_folders(root, split)
    for split, rows in _in_order(root, missing, processes, progress, limit):
        _write_annotations(root, split, rows)


def _make_folders(root: Path, split: str) -> None:
    (root / ".partial").mkdir(parents=True, exist_ok=True)
    layout.image_dir(root, split).mkdir(exist_ok=True)
    for kind in layout.MAP_KINDS:
        layout.map_dir(root, kind, split).mkdir(parents=True, exist_ok=True)


def _in_order(
    root: Path, splits: Sequence[str], processes: int, progress: Progress | None, limit: int | None
) -> Iterator[tuple[str, Rows]]:
    """Draw all chunks; yield each split, its rows in the order of indices, when its last chunk is there."""
    sizes = {split: min(SPLITS[split].size, limit or SPLITS[split].size) for split in splits}
    chunks = [
        (str(root), split, start, min(start + _CHUNK, size))
        for split, size in sizes.items()
        for start in range(0, size, _CHUNK)
    ]
    gathered: Rows = {}
    for (_, split, _, stop), rows in zip(chunks, _drawn(chunks, processes), strict=True):
        for key, more in rows.items():
            gathered.setdefault(key, []).extend(more)
        if progress is not None:
            progress(split, stop, sizes[split])
        if stop == sizes[split]:
            yield split, gathered
            gathered = {}


def _drawn(chunks: list[tuple[str, str, int, int]], processes: int) -> Iterator[Rows]:
    """The rows of each chunk, in order. Spawned, not forked: the caller may hold threads (torch does)."""
    alone = processes <= 1 or len(chunks) <= 1 or multiprocessing.current_process().daemon
    if alone:
        yield from map(draw_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(processes, len(chunks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(draw_chunk, chunks)


def _end_with_parent() -> None:
    """Let no worker outlive a killed parent: it would wait for work for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def draw_chunk(chunk: tuple[str, str, int, int]) -> Rows:
    """Draw and write the images of (root, split, start, stop); returns the rows of the JSON files."""
    root, split, start, stop = Path(chunk[0]), *chunk[1:]
    rows: Rows = {"images": [], "instances": [], "captions": [], "facts": [], "panoptic": [], "scenes": []}
    for index in range(start, stop):
        _draw_one(root, split, index, rows)
    return rows


def _draw_one(root: Path, split: str, index: int, rows: Rows) -> None:
    spec = SPLITS[split]
    image_id, file_name = layout.image_id(split, index), layout.image_file_name(split, index)
    drawing = draw_image(spec, index)
    captions = caption_image(spec, index, drawing.sight)
    objects = coco_rows.object_rows(drawing, image_id)
    segments, segment_pixels = coco_rows.panoptic(drawing, objects)
    replace_file(root, layout.image_dir(root, split) / file_name, png_bytes(drawing.pixels))
    replace_file(root, layout.map_dir(root, "panoptic", split) / file_name, png_bytes(segment_pixels))
    semantic = coco_rows.semantic_map(drawing)
    replace_file(root, layout.map_dir(root, "semantic", split) / file_name, png_bytes(semantic))
    rows["images"].append(coco_rows.image_row(image_id, file_name))
    rows["instances"] += objects
    rows["captions"] += [
        {"id": image_id * 10 + number, "image_id": image_id, "caption": text, "logical_form": form}
        for number, (text, form) in enumerate(captions)
    ]
    rows["facts"].append({"facts": drawing.sight.facts})
    rows["panoptic"].append({"image_id": image_id, "file_name": file_name, "segments_info": segments})
    rows["scenes"].append(scene_row(spec, index, drawing))


def _write_annotations(root: Path, split: str, rows: Rows) -> None:
    images = rows["images"]
    with_facts = [image | facts for image, facts in zip(images, rows["facts"], strict=True)]
    things, everything = coco_rows.thing_categories(), coco_rows.panoptic_categories()
    contents = {
        "instances": {"images": images, "annotations": rows["instances"], "categories": things},
        "captions": {"images": with_facts, "annotations": rows["captions"]},
        "panoptic": {"images": images, "annotations": rows["panoptic"], "categories": everything},
        "scenes": {"images": rows["scenes"]},
    }
    info = {"description": "Fusemark Scenes", "split": split}
    for kind in layout.FILE_KINDS:  # the scenes file comes last: it is what makes the split complete
        document = {"info": info, "licenses": _LICENCE, **contents[kind]}
        replace_file(root, layout.annotation_file(root, kind, split), canonical_json(document))


def canonical_json(document: Any) -> bytes:
    """Sorted keys and no spaces: equal documents are equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def replace_file(root: Path, path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what a killed run leaves lies in one hidden folder, not among images."""
    partial = root / ".partial" / f"{os.getpid()}-{path.parent.name}-{path.name}"
    partial.write_bytes(content)
    partial.replace(path)
