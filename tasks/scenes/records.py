"""The row of an image in the scenes file: its factors, its target and the texts of the three tracks."""

from __future__ import annotations

import hashlib
from typing import Any

from tasks.scenes import layout
from tasks.scenes.coco_rows import annotation_id
from tasks.scenes.drawing import Drawing
from tasks.scenes.meaning import LogicalForm
from tasks.scenes.splits import SplitSpec
from tasks.scenes.world import group_of


def scene_row(
    spec: SplitSpec, index: int, drawing: Drawing, captions: list[tuple[str, LogicalForm]]
) -> dict[str, Any]:
    """Everything about an image that the COCO files have no place for."""
    scene = drawing.scene
    image_id = layout.image_id(spec.name, index)
    row: dict[str, Any] = {
        "id": image_id,
        "file_name": layout.image_file_name(spec.name, index),
        "pixels_sha256": hashlib.sha256(drawing.pixels.tobytes()).hexdigest(),
        "ground": scene.ground,
        "ground_colour": scene.ground_colour,
        "sky": scene.sky,
        "light": scene.light,
        "tint": scene.tint,
        "style": scene.style,
        "badge": scene.badge,
        "objects": [annotation_id(image_id, i) for i in drawing.visible],
        "target": None,
    }
    if scene.target >= 0:
        kind = scene.objects[scene.target].kind
        row["target"] = {
            "annotation_id": annotation_id(image_id, scene.target),
            "category_id": kind.category_id,
            "kind": kind.name,
        }
    if spec.plan == "groups":
        pattern, badge = group_of(spec, index)
        row["group"] = {"label": pattern, "badge": badge}
    if spec.plan == "twins":
        row["twin_id"] = layout.image_id(spec.name, index ^ 1)
    return row
