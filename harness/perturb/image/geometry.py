"""Rotates, shears, scales, shifts, flips and crops images; boxes, masks and label maps go with the pixels.

An image keeps its size: what leaves the canvas is gone, what comes in is mid-grey and belongs to nothing. Directions
are drawn for each image. Angles are true in pixels, also where an image is not square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.affine import Affine
from harness.errors import UsageError
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

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Draw the side."""
        angle = math.radians(_DEGREES[severity - 1]) * _side(rng)
        cosine, sine, aspect = math.cos(angle), math.sin(angle), height_px / width_px
        return _around_centre(cosine, -sine * aspect, sine / aspect, cosine)


@dataclass(frozen=True)
class Shear(_Geometric):
    """Slant by .05, .1, .2, .3, .5 px a px, along a drawn axis to a drawn side."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Draw axis and side."""
        slant, aspect = _SHEARS[severity - 1] * _side(rng), height_px / width_px
        if rng.random() < 0.5:
            return _around_centre(1, slant * aspect, 0, 1)
        return _around_centre(1, 0, slant / aspect, 1)


@dataclass(frozen=True)
class Scale(_Geometric):
    """Make larger or smaller by a factor of 1.1, 1.25, 1.5, 1.75, 2 around the centre."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Draw whether larger or smaller."""
        factor = _FACTORS[severity - 1] ** _side(rng)
        return _around_centre(factor, 0, 0, factor)


@dataclass(frozen=True)
class Translate(_Geometric):
    """Shift by .05, .1, .15, .2, .3 of width and height, each to a drawn side."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Draw both sides; whole pixels."""
        x, y = (round(_OFFSETS[severity - 1] * side_px) * _side(rng) / side_px for side_px in (width_px, height_px))
        return Affine((1, 0, x, 0, 1, y))


@dataclass(frozen=True)
class Flip(_Geometric):
    """Exchange left and right."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Always the same."""
        return Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


@dataclass(frozen=True)
class Crop(_Geometric):
    """Show a window of .95, .9, .8, .7, .5 of each side at a drawn place, enlarged to the canvas."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Draw the place."""
        kept = _KEPT[severity - 1]
        left, top = rng.random() * (1 - kept), rng.random() * (1 - kept)
        return Affine((1 / kept, 0, -left / kept, 0, 1 / kept, -top / kept))


GEOMETRY = (
    Rotate("rotate", "turn by 5 to 45 degrees"),
    Shear("shear", "slant by .05 to .5"),
    Scale("scale", "make larger or smaller by 1.1 to 2"),
    Translate("translate", "shift by .05 to .3 of the sides"),
    Flip("flip", "exchange left and right", severities=(1,)),
    Crop("crop", "show a window of .95 to .5 of the sides"),
)


def apply_affine(pixels: npt.NDArray[np.uint8], affine: Affine) -> npt.NDArray[np.uint8]:
    """Move an image `[H, W, 3]`, between pixels bilinearly; what comes from outside is mid-grey."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    x, y = (np.asarray(places - 0.5, dtype=np.float32) for places in _origins(affine, width, height))
    moved = cv2.remap(
        pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(OUTSIDE, OUTSIDE, OUTSIDE)
    )
    return np.asarray(moved, dtype=np.uint8)


def warp_labels(labels: npt.NDArray[Any], affine: Affine, fill: int) -> npt.NDArray[Any]:
    """Move a map of labels `[H, W]` of any integer dtype, which stays; what comes from outside is `fill`."""
    return take_labels(labels, label_origins(affine, labels.shape[1], labels.shape[0]), fill)


def label_origins(affine: Affine, width_px: int, height_px: int) -> npt.NDArray[np.int64]:
    """[H, W] in which pixel the centre of each pixel was before, numbered row by row; -1 for outside."""
    import numpy as np

    x, y = (np.floor(places).astype(np.int64) for places in _origins(affine, width_px, height_px))
    inside = (x >= 0) & (x < width_px) & (y >= 0) & (y < height_px)
    return np.where(inside, y * width_px + x, -1)


def take_labels(labels: npt.NDArray[Any], origins: npt.NDArray[np.int64], fill: int) -> npt.NDArray[Any]:
    """Move a map `[H, W]` by what `label_origins` gave, which is worth its time where many maps move alike."""
    import numpy as np

    return np.append(labels.ravel(), np.array(fill, dtype=labels.dtype))[origins]  # -1 is the last one


def move_points_px(
    points: npt.NDArray[np.float64], affine: Affine, width_px: int, height_px: int
) -> npt.NDArray[np.float64]:
    """Move points `[N, 2]`, x and y in px; pixel i covers i to i + 1."""
    import numpy as np

    a, b, c, d, e, f = _in_px(affine, width_px, height_px)
    return points @ np.array([[a, d], [b, e]], dtype=np.float64) + np.array([c, f], dtype=np.float64)


def _in_px(affine: Affine, width: int, height: int) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = affine.matrix
    return a, b * width / height, c * width, d * height / width, e, f * height


def _origins(affine: Affine, width: int, height: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[H, W] the x and the y in px that each pixel's centre had before; raises UsageError where that is undefined.

    Rounded to .0001 px: on the border of two pixels the last bit of a sum must not choose between them.
    """
    import numpy as np

    a, b, c, d, e, f = _in_px(affine, width, height)
    growth = a * e - b * d
    if not math.isfinite(growth) or abs(growth) < 1e-9:
        raise UsageError(f"An affine map by {affine.matrix} leaves nothing of an image. Wanted one that can be undone.")
    x, y = np.arange(width) + 0.5 - c, (np.arange(height) + 0.5 - f)[:, None]
    return np.round((e * x - b * y) / growth, 4), np.round((a * y - d * x) / growth, 4)


def _around_centre(a: float, b: float, d: float, e: float) -> Affine:
    """A linear map in fractions that leaves the centre where it is."""
    return Affine((a, b, 0.5 - 0.5 * a - 0.5 * b, d, e, 0.5 - 0.5 * d - 0.5 * e))


def _side(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1
