"""Lets what is right for an image follow when the image is moved: boxes, masks, label maps, words for the sides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.movement import Movement
from tasks.targets import BoxTarget, MapTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEAST_VISIBLE = 0.25
"""An object of which a smaller share stays in the image is not asked for: it becomes a crowd, as in Scenes."""
_SIDES = re.compile(r"\b(left|right)(?=(most|wards?|hand)?\b)", re.IGNORECASE)


def moved_words(text: str, movement: Movement) -> str:
    """Exchange left and right in a text about a mirrored image.

    >>> moved_words("the leftmost cat", Movement((-1, 0, 1, 0, 1, 0), mirrored=True))
    'the rightmost cat'
    """
    return _SIDES.sub(lambda found: _other(found[0]), text) if movement.mirrored else text


def _other(side: str) -> str:
    other = "right" if side.lower() == "left" else "left"
    return other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other


def moved_map(target: MapTarget, movement: Movement) -> MapTarget:
    """Move the label map, and the segments where there are any, whenever they are read."""
    return replace(target, movement=movement)


def moved_boxes(target: BoxTarget, movement: Movement) -> BoxTarget:
    """Move the objects of an image; those that leave it entirely are gone.

    A box is the one around the moved mask, or around the moved corners of the box where there is no mask.
    """
    import numpy as np

    size = np.array([target.width_px, target.height_px], dtype=np.float64)
    kept: list[int] = []
    boxes, areas, crowd, masks = [], [], [], []
    for number in range(len(target.boxes)):
        box, area, share, mask = _moved_object(target, number, movement)
        if area <= 0:
            continue
        kept.append(number)
        boxes.append(box)
        areas.append(area)
        masks.append(mask)
        crowd.append(target.crowd[number] or share < LEAST_VISIBLE)
    in_px = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    objects = target.objects
    if objects is not None:
        objects = replace(
            objects,
            annotation_ids=objects.annotation_ids[kept],
            category_index=objects.category_index[kept],
            boxes=in_px,
            stated_boxes=in_px,
            areas=np.array(areas, dtype=np.float64),
            iscrowd=np.array(crowd, dtype=np.bool_),
            segmentations=tuple(masks),
        )
    fractions = in_px / np.tile(size, 2)
    return replace(
        target,
        boxes=tuple(tuple(row) for row in fractions.tolist()),  # type: ignore[misc]
        labels=tuple(target.labels[number] for number in kept),
        crowd=tuple(crowd),
        objects=objects,
    )


def _moved_object(target: BoxTarget, number: int, movement: Movement) -> tuple[Sequence[float], float, float, Any]:
    """The box in px, the area in px², which share of it stays visible, and the mask as run lengths or None."""
    a, b, _, d, e, _ = movement.matrix
    growth = abs(a * e - b * d)
    segmentation = target.objects.segmentations[number] if target.objects is not None else None
    if segmentation is None:
        box, whole = _moved_corners(target, number, movement)
        area = max(0.0, box[2]) * max(0.0, box[3])
        return box, area, area / whole if whole > 0 else 0.0, None
    from pycocotools import mask as coco

    from harness.perturb.geometry import warp_labels
    from tasks.formats.segmentations import decode_mask

    before = decode_mask(segmentation, target.width_px, target.height_px)
    after = warp_labels(before, movement, 0)
    runs = coco.encode(_fortran(after))
    area, whole = float(coco.area(runs)), float(before.sum()) * growth
    return coco.toBbox(runs).tolist(), area, area / whole if whole > 0 else 0.0, runs


def _moved_corners(target: BoxTarget, number: int, movement: Movement) -> tuple[list[float], float]:
    """The box around a box's moved corners, clipped to the image; and the area that it had unclipped. In px."""
    import numpy as np

    from harness.perturb.geometry import move_points

    x, y, width, height = target.boxes[number]
    corners = np.array([(x, y), (x + width, y), (x, y + height), (x + width, y + height)])
    size = np.array([target.width_px, target.height_px])
    moved = move_points(corners, movement) * size
    low, high = moved.min(axis=0), moved.max(axis=0)
    start, stop = np.clip(low, 0, size), np.clip(high, 0, size)
    return [*start.tolist(), *(stop - start).tolist()], float((high - low).prod())


def _fortran(mask: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    import numpy as np

    return np.asfortranarray(mask, dtype=np.uint8)
