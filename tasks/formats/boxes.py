"""Checks of ground-truth boxes, `[x, y, width, height]` in px, against the images that they lie in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

Boxes = npt.NDArray[np.float64]
TOLERANCE_PX = 1.0
"""How far a box may stick out of its image: COCO's own boxes and 1-based conversions do, by parts of a pixel."""

_WANTED = "wanted [x, y, width, height] in px"


def box_array(boxes: Sequence[Any], place: Callable[[int], str]) -> Boxes:
    """Turn JSON boxes to float64 `[n, 4]`; raises DataError for one that is not four finite numbers."""
    lists = set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}
    if not lists or not set(map(type, chain.from_iterable(boxes))) <= {int, float}:
        position = next(position for position, box in enumerate(boxes) if not _is_box(box))
        raise DataError(f"{place(position)} has the box {boxes[position]!r:.120}; {_WANTED}. Mend it.")
    try:
        array = np.array(boxes, np.float64).reshape(-1, 4)
    except OverflowError:
        array = np.array([[_finite_or_nan(value) for value in box] for box in boxes], np.float64)
    require_no_row(~np.isfinite(array).all(axis=1), lambda i: f"{place(i)} has the box {boxes[i]}; {_WANTED}. Mend it.")
    return array


def clip_boxes(boxes: Boxes, sizes: Boxes, place: Callable[[int], str]) -> Boxes:
    """Check boxes against image sizes (width, height) `[n, 2]` and clip what sticks out by up to 1 px.

    Raises DataError for a negative size, no area, a box wholly outside its image, or one that sticks out further.
    """
    start, extent = boxes[:, :2], boxes[:, 2:]
    stop = start + extent

    def describe(position: int, what: str) -> str:
        width, height = sizes[position]
        return (
            f"{place(position)} has the box {boxes[position].tolist()}, which {what} (image {width:g} x {height:g} px; "
            f"{_WANTED}). Mend it or leave the annotation out."
        )

    require_no_row((extent < 0).any(axis=1), lambda i: describe(i, "has a negative size"))
    require_no_row((extent == 0).any(axis=1), lambda i: describe(i, "has no area"))
    outside = ((start >= sizes) | (stop <= 0)).any(axis=1)
    require_no_row(outside, lambda i: describe(i, "is entirely outside the image"))
    overhang = np.maximum(-start, stop - sizes).max(axis=1, initial=0)
    require_no_row(
        overhang > TOLERANCE_PX + 1e-6,
        lambda i: describe(i, f"sticks out of the image by {overhang[i]:.2f} px, more than {TOLERANCE_PX:g}"),
    )
    clipped_start = np.maximum(start, 0)
    # a box that is inside keeps its numbers to the last bit: start + extent - start would not
    inside = (start >= 0) & (stop <= sizes)
    clipped = np.where(inside, extent, np.minimum(stop, sizes) - clipped_start)
    require_no_row((clipped <= 0).any(axis=1), lambda i: describe(i, "has no area inside the image"))
    return np.concatenate([clipped_start, clipped], axis=1)


def require_no_row(bad: npt.ArrayLike, message: Callable[[int], str]) -> None:
    """Raise DataError with the message of the first row that is bad, bool `[n]`."""
    rows = np.flatnonzero(bad)
    if len(rows):
        raise DataError(message(int(rows[0])))


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)


def _finite_or_nan(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan
