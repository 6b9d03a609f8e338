"""Light, tint, style and badge: what changes how a scene looks without changing what is in it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tasks.scenes.counter_rng import Stream, noise_grid
from tasks.scenes.factors import IMAGE_SIZE_PX
from tasks.scenes.scene import Scene, SceneObject
from tasks.scenes.stencils import (
    HALO,
    HORN,
    INSIDE,
    SECOND_COLOUR,
    THICK_EDGE,
    THIN_EDGE,
)

Rgb = tuple[int, int, int]
Pixels = npt.NDArray[np.int16]

_OBJECT_RGB: Final[dict[str, Rgb]] = {
    "red": (216, 36, 40), "orange": (248, 132, 24), "yellow": (252, 222, 44), "green": (30, 142, 60),
    "blue": (34, 84, 214), "purple": (128, 44, 172), "pink": (252, 138, 196), "brown": (118, 68, 34),
    "black": (34, 34, 40), "white": (250, 250, 250),
}  # fmt: skip
_PALE: Final[Rgb] = (252, 246, 226)
_DARK: Final[Rgb] = (52, 44, 60)
_LIGHT_COLOURS: Final = ("yellow", "white", "pink", "orange")
_HORN_RGB: Final[Rgb] = (226, 216, 190)
_HALO_RGB: Final[Rgb] = (255, 208, 60)
_NIGHT_RGB: Final[Rgb] = (6, 7, 12)
_NIGHT_RIM_RGB: Final[Rgb] = (112, 120, 150)
# per cent of each channel, then a constant
_LIGHTS: Final = {
    "day": ((100, 100, 100), (0, 0, 0)),
    "dusk": ((66, 60, 72), (6, 4, 16)),
    "night": ((100, 100, 100), (0, 0, 0)),
    "dim": ((34, 34, 36), (2, 2, 4)),
    "glare": ((62, 62, 58), (112, 110, 104)),
}
_TINTS: Final = {
    "neutral": (100, 100, 100), "warm": (104, 100, 92), "cool": (92, 99, 105),
    "rosy": (108, 84, 92), "green": (84, 107, 84),
}  # fmt: skip
_BADGE_RGB: Final[Rgb] = (128, 128, 128)


@cache
def _palette(colour: str, style: str, light: str) -> npt.NDArray[np.int64]:
    if light == "night":
        body = second = horn = halo = _NIGHT_RGB
        edge = _NIGHT_RIM_RGB
    else:
        body, horn, halo = _OBJECT_RGB[colour], _HORN_RGB, _HALO_RGB
        second = _DARK if colour in _LIGHT_COLOURS else _PALE
        edge = (20, 18, 24)
    edge_bit = THICK_EDGE if style == "outlined" else THIN_EDGE
    palette = np.zeros((64, 4), dtype="<i2")
    for code in range(64):
        if not code & INSIDE:
            continue
        rgb = horn if code & HORN else halo if code & HALO else second if code & SECOND_COLOUR else body
        palette[code, :3] = edge if code & edge_bit else rgb
    return palette.view("<i8").astype(np.int64)[:, 0]


def object_palette(item: SceneObject, style: str, light: str) -> npt.NDArray[np.int64]:
    """The colour of each stencil code of an object: int64 [64], red, green and blue in its 16-bit lanes."""
    return _palette(item.colour, style, light)


@cache
def _light_table(light: str, tint: str) -> npt.NDArray[np.uint8]:
    level = np.arange(256, dtype=np.int32)[:, None]
    percent, added = (np.array(row, dtype=np.int32) for row in _LIGHTS[light])
    lit = level * percent // 100 + added
    return _bytes(lit * np.array(_TINTS[tint], dtype=np.int32) // 100)


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)


@cache
def _grain() -> Pixels:
    """A film's grain: int16 [256, 256], triangular on -26 .. 26, in specks of 1 x 1."""
    noise = noise_grid(256, 256, "grain")
    return np.asarray(noise % 27 + noise // 27 % 27 - 26, dtype=np.int16)


def finish(pixels: Pixels, scene: Scene) -> npt.NDArray[np.uint8]:
    """Turn daylight pixels, int16 [128, 128, 3] in 0 .. 255, into the final image, uint8 of that shape."""
    table = _light_table(scene.light, scene.tint)
    image = np.empty(pixels.shape, dtype=np.uint8)
    for channel in range(3):
        image[:, :, channel] = np.ascontiguousarray(table[:, channel]).take(pixels[:, :, channel])
    image = _styled(image, scene)
    _stamp(image, scene.badge)
    return image


def _styled(image: npt.NDArray[np.uint8], scene: Scene) -> npt.NDArray[np.uint8]:
    if scene.style == "grainy":
        draw = Stream(scene.noise_key, "grain")
        row, column = draw.below(128), draw.below(128)
        grain = _grain()[row : row + IMAGE_SIZE_PX, column : column + IMAGE_SIZE_PX]
        return _bytes(image + grain[:, :, None])
    if scene.style == "mosaic":
        return _mosaic(image)
    if scene.style == "sketch":
        return _sketch(image)
    if scene.style == "inverted":  # light becomes dark but hues stay: a blue thing is still blue
        wide = image.astype(np.int16)
        turned = wide + (255 - wide.max(axis=2) - wide.min(axis=2))[:, :, None]
        return _bytes(turned)
    return image


def _mosaic(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Tiles of 4 x 4 pixels, each its mean colour, with darker joints."""
    tiles = image.reshape(32, 4, 32, 4, 3).astype(np.int32).sum(axis=(1, 3)) // 16
    result = np.repeat(np.repeat(tiles, 4, axis=0), 4, axis=1)
    result[3::4] = result[3::4] * 3 // 4
    result[:, 3::4] = result[:, 3::4] * 3 // 4
    return result.astype(np.uint8)


def _sketch(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pencil lines where brightness changes, on paper with a faint wash of the colours."""
    wide = image.astype(np.int32)
    grey = wide @ np.array([77, 151, 28], dtype=np.int32) // 256
    lines = np.zeros_like(grey)
    lines[1:-1, 1:-1] = np.abs(grey[1:-1, 2:] - grey[1:-1, :-2]) + np.abs(grey[2:, 1:-1] - grey[:-2, 1:-1])
    wash = 168 + wide // 3
    return _bytes(wash - np.clip(lines * 2 - 20, 0, 220)[:, :, None])


def _stamp(image: npt.NDArray[np.uint8], badge: str) -> None:
    """The badge, a grey mark in the upper left corner, over everything: it says nothing about the scene."""
    if badge == "none":
        return
    y, x = np.mgrid[-5:6, -5:6].astype(np.int32)
    inside = x * x + y * y <= 26 if badge == "disc" else np.abs(y) <= 2
    patch = image[4:15, 4:15]
    patch[np.asarray(x * x + y * y <= 38) if badge == "disc" else np.abs(y) <= 3] = 255
    patch[inside] = _BADGE_RGB
