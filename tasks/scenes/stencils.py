"""Shapes, parts and patterns as tables of codes, all in integers.

A stencil is a uint8 [320, 320] table over the square from -160 to 159 in both directions, in hundredths of
the body's radius, y downwards. Each cell is a sum of the bits below; 0 is outside the object.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

STENCIL_HALF: Final = 160
INSIDE: Final = 1
SECOND_COLOUR: Final = 2
THIN_EDGE: Final = 4
THICK_EDGE: Final = 8
HORN: Final = 16
HALO: Final = 32

Table = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.bool_]
Grid = npt.NDArray[np.int32]

_POLYGONS: Final = {
    "square": ((-82, -82), (82, -82), (82, 82), (-82, 82)),
    "triangle": ((0, -100), (98, 80), (-98, 80)),
    "star": (
        (0, -105), (28, -38), (100, -32), (45, 16), (62, 90),
        (0, 50), (-62, 90), (-45, 16), (-100, -32), (-28, -38),
    ),
    "cross": (
        (-34, -98), (34, -98), (34, -34), (98, -34), (98, 34), (34, 34),
        (34, 98), (-34, 98), (-34, 34), (-98, 34), (-98, -34), (-34, -34),
    ),
    "diamond": ((0, -104), (74, 0), (0, 104), (-74, 0)),
    "arrow": ((0, -100), (92, 4), (44, 4), (44, 98), (-44, 98), (-44, 4), (-92, 4)),
    "heart": ((-97, -22), (97, -22), (88, 6), (60, 45), (0, 98), (-60, 45), (-88, 6)),
    "drop": ((0, -108), (56, -4), (0, 30), (-56, -4)),
}  # fmt: skip
_HOLE_CENTRE: Final = {
    "triangle": (0, 24),
    "heart": (0, -8),
    "drop": (0, 34),
    "arrow": (0, -22),
    "crescent": (-64, 0),
}
_HOLE_RADIUS: Final = {"square": 38, "triangle": 30, "heart": 34, "arrow": 28, "diamond": 32, "star": 20}
_HORN_BASE: Final = {"circle": -74, "heart": -62, "drop": 6, "star": -34, "arrow": -28}


def _axes() -> tuple[Grid, Grid]:
    axis = np.arange(-STENCIL_HALF, STENCIL_HALF, dtype=np.int32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _disc(x: Grid, y: Grid, centre: tuple[int, int], radius: int) -> Bits:
    return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius * radius)


def _polygon(x: Grid, y: Grid, corners: tuple[tuple[int, int], ...]) -> Bits:
    """The even-odd test at every cell, cross-multiplied so that nothing is divided."""
    inside = np.zeros(x.shape, dtype=np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        left = (x - x0) * (y1 - y0) < (x1 - x0) * (y - y0)
        inside ^= spans & (left if y1 > y0 else ~left)
    return inside


def _body(shape: str) -> Bits:
    x, y = _axes()
    if shape == "circle":
        return _disc(x, y, (0, 0), 98)
    if shape == "crescent":
        return _disc(x, y, (0, 0), 102) & ~_disc(x, y, (52, 0), 78)
    body = _polygon(x, y, _POLYGONS[shape])
    if shape == "heart":
        body |= _disc(x, y, (-49, -34), 50) | _disc(x, y, (49, -34), 50)
    if shape == "drop":
        body |= _disc(x, y, (0, 34), 66)
    return body


def _horns(shape: str) -> Bits:
    x, y = _axes()
    base = _HORN_BASE.get(shape, -60)
    right = ((22, base + 26), (64, base + 26), (84, base - 70), (42, base - 22))
    left = tuple((-corner_x, corner_y) for corner_x, corner_y in right)
    return _polygon(x, y, right) | _polygon(x, y, left)


def _halo() -> Bits:
    """A flat ring that floats above the body."""
    x, y = _axes()
    height = y + 130
    outer = x * x * 27 * 27 + height * height * 70 * 70 <= (70 * 27) ** 2
    inner = x * x * 10 * 10 + height * height * 42 * 42 <= (42 * 10) ** 2
    return np.asarray(outer & ~inner)


def _second_colour(pattern: str) -> Bits:
    x, y = _axes()
    if pattern == "striped":
        return np.asarray((y + 300) // 28 % 2 == 0)
    if pattern == "dotted":
        row = (y + 320) // 50
        across = (x + 320 + row % 2 * 28) % 56 - 28
        return np.asarray(across**2 + ((y + 320) % 50 - 25) ** 2 <= 18 * 18)
    if pattern == "checkered":
        return np.asarray(((x + 308) // 44 + (y + 308) // 44) % 2 == 0)
    if pattern == "ringed":
        square = x * x + y * y
        return np.asarray(((square >= 24**2) & (square < 50**2)) | ((square >= 74**2) & (square < 98**2)))
    return np.zeros(x.shape, dtype=np.bool_)


def _edge(inside: Bits, width: int) -> Bits:
    """The cells of `inside` within `width` of the outside, along 16 directions."""
    padded = np.pad(inside, width)
    core = inside.copy()
    diagonal, near, far = width * 71 // 100, width * 38 // 100, width * 92 // 100
    steps = ((width, 0), (diagonal, diagonal), (near, far), (far, near))
    size = inside.shape[0]
    for step_x, step_y in steps:
        for dx, dy in ((step_x, step_y), (-step_y, step_x), (-step_x, -step_y), (step_y, -step_x)):
            core &= padded[width + dy : width + dy + size, width + dx : width + dx + size]
    return inside & ~core


@cache
def stencil(shape: str, pattern: str, part: str) -> Table:
    """The code table of one kind: uint8 [320, 320], cached for the life of the process."""
    x, y = _axes()
    body = _body(shape)
    horn = _horns(shape) & ~body if part == "horned" else np.zeros_like(body)
    halo = _halo() if part == "haloed" else np.zeros_like(body)
    if part == "holed":
        body &= ~_disc(x, y, _HOLE_CENTRE.get(shape, (0, 0)), _HOLE_RADIUS.get(shape, 26))
    inside = body | horn | halo
    table = inside * np.uint8(INSIDE)
    table += (body & _second_colour(pattern)) * np.uint8(SECOND_COLOUR)
    # The edge of the body is drawn where a horn begins, too: a horn is a thing put on, not a bulge.
    table += (_edge(body, 7) | _edge(horn | halo, 6)) * np.uint8(THIN_EDGE)
    table += (_edge(body, 15) | _edge(horn | halo, 9)) * np.uint8(THICK_EDGE)
    table += horn * np.uint8(HORN) + halo * np.uint8(HALO)
    return np.asarray(table, dtype=np.uint8)
