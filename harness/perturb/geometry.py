"""Rotates, shears, scales, shifts, flips and crops images; boxes, masks and label maps go with the pixels.

An image keeps its size: what leaves the canvas is gone, what comes in is mid-grey and belongs to nothing. Directions
are drawn for each image. Angles are true in pixels, also where an image is not square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.movement import Movement
from harness.perturb.perturbation import IMAGE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OUTSIDE = 127
"""The grey of what was not in the image."""
_DEGREES = (5.0, 10.0, 20.0, 30.0, 45.0)
_SHEARS = (0.05, 0.1, 0.2, 0.3, 0.5)
_FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0)
_OFFSETS = (0.05, 0.1, 0.15, 0.2, 0.3)
_KEPT = (0.95, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True)
class _Geometric:
    name: str
    summary: str
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    family: str = "geometry"
    modality: str = IMAGE
    version: int = 1


@dataclass(frozen=True)
class Rotate(_Geometric):
    """Turn by 5, 10, 20, 30, 45 degrees to either side around the centre."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Draw the side."""
        angle = math.radians(_DEGREES[severity - 1]) * _side(rng)
        cosine, sine, aspect = math.cos(angle), math.sin(angle), height_px / width_px
        return _around_centre(cosine, -sine * aspect, sine / aspect, cosine)


@dataclass(frozen=True)
class Shear(_Geometric):
    """Slant by .05 to .5 px a px, along a drawn axis to a drawn side."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Draw axis and side."""
        slant, aspect = _SHEARS[severity - 1] * _side(rng), height_px / width_px
        if rng.random() < 0.5:
            return _around_centre(1, slant * aspect, 0, 1)
        return _around_centre(1, 0, slant / aspect, 1)


@dataclass(frozen=True)
class Scale(_Geometric):
    """Make larger or smaller by a factor of 1.1 to 2 around the centre."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Draw whether larger or smaller."""
        factor = _FACTORS[severity - 1] ** _side(rng)
        return _around_centre(factor, 0, 0, factor)


@dataclass(frozen=True)
class Translate(_Geometric):
    """Shift by .05 to .3 of width and height, each to a drawn side."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Draw both sides; whole pixels."""
        x, y = (round(_OFFSETS[severity - 1] * side_px) * _side(rng) / side_px for side_px in (width_px, height_px))
        return Movement((1, 0, x, 0, 1, y))


@dataclass(frozen=True)
class Flip(_Geometric):
    """Exchange left and right."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Always the same."""
        return Movement((-1, 0, 1, 0, 1, 0), mirrored=True)


@dataclass(frozen=True)
class Crop(_Geometric):
    """Show a window of .95 to .5 of each side at a drawn place, enlarged to the canvas."""

    def movement(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Movement:
        """Draw the place."""
        kept = _KEPT[severity - 1]
        left, top = rng.random() * (1 - kept), rng.random() * (1 - kept)
        return Movement((1 / kept, 0, -left / kept, 0, 1 / kept, -top / kept))


GEOMETRY = (
    Rotate("rotate", "turn by 5 to 45 degrees"),
    Shear("shear", "slant by .05 to .5"),
    Scale("scale", "make larger or smaller by 1.1 to 2"),
    Translate("translate", "shift by .05 to .3 of the sides"),
    Flip("flip", "exchange left and right", severities=(1,)),
    Crop("crop", "show a window of .95 to .5 of the sides"),
)


def apply_movement(pixels: npt.NDArray[np.uint8], movement: Movement) -> npt.NDArray[np.uint8]:
    """Move an image `[H, W, 3]`, between pixels bilinearly; what comes from outside is mid-grey."""
    import cv2

    return _warp(pixels, movement, cv2.INTER_LINEAR, (OUTSIDE,) * 3)


def warp_labels(labels: npt.NDArray[Any], movement: Movement, fill: int) -> npt.NDArray[Any]:
    """Move a map of labels `[H, W]` to the nearest pixel; what comes from outside is `fill`. Keeps the dtype."""
    import cv2
    import numpy as np

    # float32 holds whole numbers up to 2^24, more than any label or segment id (COCO's have 24 bits)
    moved = _warp(labels.astype(np.float32), movement, cv2.INTER_NEAREST, (float(fill),))
    return moved.astype(labels.dtype)  # type: ignore[no-any-return]


def move_points(points: npt.NDArray[np.float64], movement: Movement) -> npt.NDArray[np.float64]:
    """Move points `[N, 2]` given in fractions of the image's sides."""
    import numpy as np

    a, b, c, d, e, f = movement.matrix
    return points @ np.array([[a, d], [b, e]]) + np.array([c, f])


def _warp(image: npt.NDArray[Any], movement: Movement, how: int, fill: tuple[float, ...]) -> npt.NDArray[Any]:
    """Ask for each pixel's centre where it came from; centres lie at (i + .5) / side."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    a, b, c, d, e, f = movement.matrix
    sides = np.diag([width, height, 1.0])
    to_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    whole = np.array([[a, b, c], [d, e, f], [0, 0, 1]])
    matrix = np.linalg.inv(to_centre) @ sides @ whole @ np.linalg.inv(sides) @ to_centre
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    back = np.linalg.inv(matrix)
    from_x = (back[0, 0] * x + back[0, 1] * y + back[0, 2]).astype(np.float32)
    from_y = (back[1, 0] * x + back[1, 1] * y + back[1, 2]).astype(np.float32)
    # A hair of rounding must not turn a whole pixel into its neighbour.
    from_x, from_y = np.round(from_x, 4), np.round(from_y, 4)
    return cv2.remap(image, from_x, from_y, how, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)


def _around_centre(a: float, b: float, d: float, e: float) -> Movement:
    """A linear map in fractions that leaves the centre where it is."""
    return Movement((a, b, 0.5 - 0.5 * a - 0.5 * b, d, e, 0.5 - 0.5 * d - 0.5 * e))


def _side(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1
