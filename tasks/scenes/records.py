"""The row of an image in the scenes file: its factors, its target and the texts of the tracks."""

from __future__ import annotations

import hashlib
from typing import Any

from tasks.scenes import layout
from tasks.scenes.coco_rows import annotation_id
from tasks.scenes.counter_rng import Stream
from tasks.scenes.drawing import Drawing
from tasks.scenes.expressions import expression_row, refer
from tasks.scenes.foils import foil_pairs
from tasks.scenes.grammar import Voice
from tasks.scenes.remarks import draw_condition, remarks_about
from tasks.scenes.splits import SEED, SplitSpec
from tasks.scenes.world import group_of

Row = dict[str, Any]


def scene_row(spec: SplitSpec, index: int, drawing: Drawing) -> Row:
    """Everything about an image that the COCO files have no place for."""
    scene = drawing.scene
    image_id = layout.image_id(spec.name, index)
    row: Row = {
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
        "target": _target(drawing, image_id),
        **_remarks(spec, index, drawing),
        "expression": _expression(spec, index, drawing, image_id),
    }
    if spec.plan == "groups":
        pattern, badge = group_of(spec, index)
        row["group"] = {"label": pattern, "badge": badge}
    if spec.plan == "twins":
        row["twin_id"] = layout.image_id(spec.name, index ^ 1)
    if spec.plan == "foils":
        voice = Voice(spec.lexicon, spec.templates)
        row["foils"] = foil_pairs(drawing.sight, voice, SEED, spec.key, index, "foil")
    return row


def _target(drawing: Drawing, image_id: int) -> Row | None:
    scene = drawing.scene
    if scene.target < 0:
        return None
    kind = scene.objects[scene.target].kind
    return {
        "annotation_id": annotation_id(image_id, scene.target),
        "category_id": kind.category_id,
        "kind": kind.name,
    }


def _remarks(spec: SplitSpec, index: int, drawing: Drawing) -> Row:
    """Track X: a remark for each condition, and this image's condition; nothing if nothing is seen."""
    scene = drawing.scene
    if scene.target < 0:
        return {"remarks": None, "remark_condition": "absent"}
    draw = Stream(SEED, spec.key, index, "remarks")
    condition = draw_condition(draw)
    return {
        "remarks": remarks_about(scene.objects[scene.target].kind, draw, spec.templates),
        "remark_condition": condition,
    }


def _expression(spec: SplitSpec, index: int, drawing: Drawing, image_id: int) -> Row | None:
    """Track R; none at night, when colours cannot be seen, and none beside hidden objects."""
    scene = drawing.scene
    if drawing.sight.night or len(drawing.visible) != len(scene.objects):
        return None
    objects = drawing.sight.facts["objects"]
    centres = [(scene.objects[i].centre_x_px, scene.objects[i].centre_y_px) for i in drawing.visible]
    found = refer(objects, centres, Stream(SEED, spec.key, index, "expression"), spec.templates)
    if found is None:
        return None
    candidate, text = found
    referent = drawing.visible[candidate.referent]
    return expression_row(candidate, text, objects) | {
        "annotation_id": annotation_id(image_id, referent),
        "category_id": scene.objects[referent].kind.category_id,
    }
