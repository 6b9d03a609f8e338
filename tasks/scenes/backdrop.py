"""Ground and sky: integer textures that stay recognisable when the ground has an unusual colour."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.scenes.counter_rng import Stream, noise_grid
from tasks.scenes.factors import IMAGE_SIZE_PX
from tasks.scenes.scene import Scene

Texture = npt.NDArray[np.int16]
Pixels = npt.NDArray[np.int16]

_TILE: Final = 256
_GROUND_RGB: Final = {
    "green": (128, 186, 96), "yellow": (226, 204, 140), "white": (228, 235, 243), "blue": (92, 152, 200),
    "grey": (164, 164, 170), "brown": (146, 114, 86), "purple": (168, 128, 200), "pink": (236, 170, 200),
    "red": (214, 104, 98), "orange": (238, 164, 96),
}  # fmt: skip
_SKY_RGB: Final = {
    "clear": ((104, 172, 240), (190, 222, 250)),
    "cloudy": ((150, 170, 196), (206, 214, 222)),
    "sunset": ((196, 84, 112), (255, 196, 110)),
    "stormy": ((58, 62, 78), (112, 114, 126)),
}  # fmt: skip


@cache
def ground_texture(ground: str) -> Texture:
    """Brightness added to the ground's colour: int16 [256, 256]."""
    noise = noise_grid(_TILE, _TILE, "ground", ground)
    y, x = np.mgrid[0:_TILE, 0:_TILE].astype(np.int32)
    rough = noise % 9 - 4
    if ground == "grass":
        return _grass(noise) + rough.astype(np.int16)
    if ground == "sand":
        wave = np.abs((y * 2 + np.abs(x % 48 - 24) // 3) % 20 - 10) - 5
        return np.asarray(wave * 2 + rough - (noise % 17 == 0) * 34, dtype=np.int16)
    if ground == "snow":
        drift = np.abs((x + y * 3 + np.abs(x % 90 - 45)) % 120 - 60) // 4 - 8
        return np.asarray(drift + rough // 2 + (noise % 61 == 0) * 26, dtype=np.int16)
    if ground == "water":
        crest = np.abs((x + (y // 8) * 37) % 32 - 16) - 8
        line = (y % 8 - crest // 3) % 8
        return np.asarray(np.where(line < 2, 38, np.where(line == 4, -14, 0)) + rough, dtype=np.int16)
    if ground == "stone":
        return np.asarray(_cobbles(x, y) + rough, dtype=np.int16)
    return np.asarray(_clods() + rough, dtype=np.int16)


def _grass(noise: npt.NDArray[np.int32]) -> Texture:
    """Short upright blades: each begins where the noise says and darkens or brightens 7 pixels above it."""
    start = (noise % 23 == 0) * 40 - (noise % 19 == 1) * 44
    blades = np.zeros_like(noise)
    for rise in range(7):
        blades += np.roll(start, -rise, axis=0) * (7 - rise // 2) // 7
    return np.asarray(np.clip(blades, -52, 46), dtype=np.int16)


def _cobbles(x: npt.NDArray[np.int32], y: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    row = y // 13
    shifted = x + row % 2 * 10
    shade = noise_grid(_TILE // 13 + 1, _TILE // 20 + 2, "cobble")[row, shifted // 20] % 45 - 22
    return np.asarray(np.where((y % 13 == 0) | (shifted % 20 == 0), -62, shade), dtype=np.int32)


def _clods() -> npt.NDArray[np.int32]:
    """Round lumps, lit from the upper left, at the places where coarse noise is high."""
    draw = Stream("clods")
    lumps = np.zeros((_TILE, _TILE), dtype=np.int32)
    y, x = np.mgrid[-4:5, -4:5].astype(np.int32)
    for _ in range(900):
        radius = draw.between(2, 4)
        lump = np.where(x * x + y * y <= radius * radius, -(x + y) * 8 - 6, 0)
        row, column = draw.below(_TILE - 9), draw.below(_TILE - 9)
        patch = lumps[row : row + 9, column : column + 9]
        patch[...] = np.where(lump != 0, lump, patch)
    return np.clip(lumps, -58, 44)


@cache
def _sky_gradient(sky: str, horizon_px: int) -> Pixels:
    top, bottom = (np.array(rgb, dtype=np.int32) for rgb in _SKY_RGB[sky])
    rows = np.arange(horizon_px, dtype=np.int32)[:, None]
    return np.asarray((top * (horizon_px - rows) + bottom * rows) // horizon_px, dtype=np.int16)


def paint_backdrop(scene: Scene) -> Pixels:
    """Sky and ground of a scene by daylight: int16 [128, 128, 3], roughly 0 .. 255 (not yet clipped)."""
    draw = Stream(scene.noise_key, "backdrop")
    row, column = draw.below(_TILE - IMAGE_SIZE_PX), draw.below(_TILE - IMAGE_SIZE_PX)
    texture = ground_texture(scene.ground)[row : row + IMAGE_SIZE_PX, column : column + IMAGE_SIZE_PX]
    pixels = texture[:, :, None] + np.array(_GROUND_RGB[scene.ground_colour], dtype=np.int16)
    sky = pixels[: scene.horizon_px]
    sky[...] = _sky_gradient(scene.sky, scene.horizon_px)[:, None, :]
    _decorate_sky(scene.sky, sky, draw)
    return np.asarray(pixels)


def _decorate_sky(sky_name: str, sky: Pixels, draw: Stream) -> None:
    """Clouds, a low sun, or lightning: what tells one sky from another beside its colour."""
    height = sky.shape[0]
    if sky_name in ("cloudy", "stormy"):
        rgb = (246, 248, 250) if sky_name == "cloudy" else (38, 40, 52)
        for _ in range(4):
            x, y = draw.between(0, IMAGE_SIZE_PX), draw.between(4, height - 10)
            for step in (-9, 0, 9):
                _fill_ellipse(sky, (x + step, y - (step == 0) * 3), (11, 6), rgb)
    if sky_name == "stormy":
        x = draw.between(16, IMAGE_SIZE_PX - 24)
        for y in range(height):
            left = x + abs(y % 14 - 7) - y // 5
            sky[y, max(left, 0) : max(left + 3, 0)] = (255, 244, 150)
    if sky_name == "sunset":
        _fill_ellipse(sky, (draw.between(20, IMAGE_SIZE_PX - 20), height), (13, 13), (255, 236, 150))


def _fill_ellipse(pixels: Pixels, centre: tuple[int, int], radii: tuple[int, int], rgb: tuple[int, int, int]) -> None:
    left, right = max(centre[0] - radii[0], 0), min(centre[0] + radii[0] + 1, pixels.shape[1])
    top, bottom = max(centre[1] - radii[1], 0), min(centre[1] + radii[1] + 1, pixels.shape[0])
    x = np.arange(left, right, dtype=np.int32)[None, :] - centre[0]
    y = np.arange(top, bottom, dtype=np.int32)[:, None] - centre[1]
    inside = x * x * radii[1] ** 2 + y * y * radii[0] ** 2 <= (radii[0] * radii[1]) ** 2
    pixels[top:bottom, left:right][inside] = rgb
