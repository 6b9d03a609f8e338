"""What is true of a drawn scene, as JSON that sentences can be checked against."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tasks.scenes.raster import Layout
from tasks.scenes.scene import Scene, SceneObject

LEAST_VISIBLE_PERCENT: Final = 25
"""Objects of which less is seen are crowd: to be ignored, not counted and not described."""
_MARGIN_PX: Final = 4
_CLEAR_PX: Final = 16
_OVERLAP_PX: Final = 12


def visible_objects(layout: Layout) -> tuple[int, ...]:
    """Indices of the objects of which enough is seen to count."""
    areas = zip(layout.seen_areas, layout.whole_areas, strict=True)
    return tuple(i for i, (seen, whole) in enumerate(areas) if seen * 100 >= whole * LEAST_VISIBLE_PERCENT)


def facts_of(scene: Scene, layout: Layout) -> dict[str, Any]:
    """The facts of a scene; `objects` are its visible objects in their own order (see `meaning.Facts`)."""
    seen = visible_objects(layout)
    pairs = [(a, b) for a in range(len(seen)) for b in range(len(seen)) if a != b]
    relations = [
        [name, a, b] for a, b in pairs for name in _relations(scene, layout, seen[a], seen[b], _MARGIN_PX)
    ]  # fmt: skip
    return {
        "objects": [_object_facts(scene.objects[i]) for i in seen],
        "relations": relations,
        "ground": scene.ground,
        "ground_colour": scene.ground_colour,
        "sky": scene.visible_sky,
    }


def clear_relations(scene: Scene, layout: Layout) -> list[tuple[str, int, int]]:
    """The relations worth saying: true by a wide margin, in the main direction; indices as in the facts."""
    seen = visible_objects(layout)
    result: list[tuple[str, int, int]] = []
    for a, i in enumerate(seen):
        for b, j in enumerate(seen):
            if a == b:
                continue
            across = abs(scene.objects[i].centre_x_px - scene.objects[j].centre_x_px)
            down = abs(scene.objects[i].centre_y_px - scene.objects[j].centre_y_px)
            main = {"left-of": across >= down, "above": down > across, "in-front-of": True}
            result += [(name, a, b) for name in _relations(scene, layout, i, j, _CLEAR_PX) if main[name]]
    return result


def _object_facts(item: SceneObject) -> dict[str, str]:
    return {
        "colour": item.colour,
        "part": item.kind.part,
        "pattern": item.kind.pattern,
        "pose": item.pose,
        "shape": item.kind.shape,
        "size": item.size,
    }


def _relations(scene: Scene, layout: Layout, i: int, j: int, margin_px: int) -> list[str]:
    one, other = scene.objects[i], scene.objects[j]
    names = []
    if other.centre_x_px - one.centre_x_px >= margin_px:
        names.append("left-of")
    if other.centre_y_px - one.centre_y_px >= margin_px:
        names.append("above")
    if (one.base_y_px, i) > (other.base_y_px, j) and _overlap(layout, i, j) >= _OVERLAP_PX:
        names.append("in-front-of")
    return names


def _overlap(layout: Layout, i: int, j: int) -> int:
    """Pixels that both objects would cover if neither hid the other."""
    one, other = layout.layers[i], layout.layers[j]
    top, bottom = max(one.rows.start, other.rows.start), min(one.rows.stop, other.rows.stop)
    left, right = max(one.columns.start, other.columns.start), min(one.columns.stop, other.columns.stop)
    if top >= bottom or left >= right:
        return 0
    covers = (
        layer.cover[
            top - layer.rows.start : bottom - layer.rows.start,
            left - layer.columns.start : right - layer.columns.start,
        ]
        for layer in (one, other)
    )
    first, second = (cover >= 5 for cover in covers)
    return int(np.count_nonzero(first & second))
