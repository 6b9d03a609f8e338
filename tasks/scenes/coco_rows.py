"""Turns one drawing into the rows of the COCO files and the pixels of its maps; integers and words only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle

from tasks.scenes.drawing import Drawing
from tasks.scenes.factors import GROUNDS, IMAGE_SIZE_PX, KINDS, NIGHT_SKY, SKIES

Map = npt.NDArray[np.uint8]
Row = dict[str, Any]

STUFF: Final = tuple(
    (41 + i, name, kind)
    for i, (name, kind) in enumerate(
        [*((g, "ground") for g in GROUNDS), *((f"{s} sky", "sky") for s in (*SKIES, NIGHT_SKY))]
    )
)
"""(category id, name, supercategory) of what is not an object: 6 grounds and 5 skies."""
STUFF_IDS: Final = {name: category_id for category_id, name, _ in STUFF}
IGNORED: Final = 255
_GROUND_SEGMENT: Final = 101
_SKY_SEGMENT: Final = 102


def thing_categories() -> list[Row]:
    """The 40 kinds as COCO categories; the shape is the supercategory."""
    return [
        {
            "id": kind.category_id, "name": kind.name, "supercategory": kind.shape, "isthing": 1,
            "pattern": kind.pattern, "part": kind.part, "tier": kind.tier,
        }
        for kind in KINDS
    ]  # fmt: skip


def panoptic_categories() -> list[Row]:
    """The 40 kinds and the 11 kinds of ground and sky."""
    stuff = [{"id": number, "name": name, "supercategory": group, "isthing": 0} for number, name, group in STUFF]
    return thing_categories() + stuff


def image_row(image_id: int, file_name: str) -> Row:
    """The entry of an image in every COCO file."""
    return {
        "id": image_id,
        "file_name": file_name,
        "width": IMAGE_SIZE_PX,
        "height": IMAGE_SIZE_PX,
        "license": 1,
    }


def annotation_id(image_id: int, index: int) -> int:
    """The id of object `index` of an image."""
    return image_id * 10 + index + 1


def object_rows(drawing: Drawing, image_id: int) -> list[Row]:
    """Instance annotations, hidden objects (iscrowd 1) included unless no pixel of them is seen."""
    rows: list[Row] = []
    for index, item in enumerate(drawing.scene.objects):
        if drawing.layout.seen_areas[index] == 0:
            continue
        mask = drawing.layout.owner == index + 1
        code = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
        rows.append(
            {
                "id": annotation_id(image_id, index),
                "image_id": image_id,
                "category_id": item.kind.category_id,
                "bbox": _box(mask),
                "area": drawing.layout.seen_areas[index],
                "iscrowd": 0 if index in drawing.visible else 1,
                "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode("ascii")},
                "attributes": {"colour": item.colour, "size": item.size, "pose": item.pose},
                "whole_area": drawing.layout.whole_areas[index],
            }
        )
    return rows


def _box(mask: npt.NDArray[np.bool_]) -> list[int]:
    """x, y, width, height in pixels of the true cells."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _segment_map(drawing: Drawing) -> Map:
    """Segment ids below 256: objects 1, 2, ..., then ground and sky."""
    segments = drawing.layout.owner.copy()
    sky = segments[: drawing.scene.horizon_px]
    sky[sky == 0] = _SKY_SEGMENT
    segments[segments == 0] = _GROUND_SEGMENT
    return segments


def _stuff_ids(drawing: Drawing) -> tuple[tuple[int, int], tuple[int, int]]:
    scene = drawing.scene
    ground = (_GROUND_SEGMENT, STUFF_IDS[scene.ground])
    return ground, (_SKY_SEGMENT, STUFF_IDS[f"{scene.visible_sky} sky"])


def panoptic(drawing: Drawing, objects: list[Row]) -> tuple[list[Row], Map]:
    """(segments_info, RGB map [128, 128, 3] of segment ids in COCO's encoding, id = R + 256 G + 65536 B)."""
    segments = _segment_map(drawing)
    infos = [
        {
            "id": row["id"] % 10, "category_id": row["category_id"], "area": row["area"], "bbox": row["bbox"],
            "iscrowd": row["iscrowd"],
        }
        for row in objects
    ]  # fmt: skip
    for segment, category in _stuff_ids(drawing):
        mask = segments == segment
        if mask.any():
            area = int(np.count_nonzero(mask))
            infos.append({"id": segment, "category_id": category, "area": area, "bbox": _box(mask), "iscrowd": 0})
    colours = np.zeros((*segments.shape, 3), dtype=np.uint8)
    colours[:, :, 0] = segments
    return infos, colours


def semantic_map(drawing: Drawing) -> Map:
    """Category ids of things (1 .. 40) and stuff (41 .. 51), uint8 [128, 128]; 255 on hidden objects."""
    table = np.full(256, IGNORED, dtype=np.uint8)
    for index, item in enumerate(drawing.scene.objects):
        table[index + 1] = item.kind.category_id if index in drawing.visible else IGNORED
    for segment, category in _stuff_ids(drawing):
        table[segment] = category
    return table[_segment_map(drawing)]
