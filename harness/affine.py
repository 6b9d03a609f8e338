"""Where the places of an image go when it is rotated, scaled, sheared, shifted, flipped or cropped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Affine:
    """An affine map of places in an image, in fractions of its width and height.

    A point (x, y), both 0..1, goes to (a x + b y + c, d x + e y + f) with `matrix` = (a, b, c, d, e, f). The canvas
    keeps its size; what comes from outside is filled with mid-grey and belongs to nothing. `mirrored` says that left
    and right have changed places.
    """

    matrix: tuple[float, float, float, float, float, float]
    mirrored: bool = False
