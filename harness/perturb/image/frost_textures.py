"""Frost on a pane, made by code: the published photographs of ice are not ours to ship.

The five textures stand for the five that the published code draws from (it never uses its sixth): a crumpled sheet of
teal ice, two panes of white needles, small blades on grey-blue, feathers on dark glass. Ice is drawn as strokes and
feathers (stems with barbs) over clouds, then brought to the mean colour and the standard deviation of the photograph
that it stands for, so that light and contrast of an image suffer as much; where each crystal lies differs. A texture
is made when it is first wanted, always the same one, and kept for the process (five of them: 5 MB).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.perturb.image.corruption import Pixels, to_pixels

TextureLayer: TypeAlias = npt.NDArray[np.float32]
"""A texture without colour, `[HEIGHT, WIDTH]`, of any scale."""

HEIGHT: Final = 480
WIDTH: Final = 720
_SEED: Final = 1903_12261


@dataclass(frozen=True)
class Frost:
    """How a texture is drawn, and the mean colour (0..255) and deviation in grey levels that it must have."""

    draw: Callable[[np.random.Generator], TextureLayer]
    colour: tuple[float, float, float]
    deviation: float


@functools.lru_cache(5)
def frost_texture(number: int) -> Pixels:
    """Return texture `number`, from 0 to 4: `[480, 720, 3]`, RGB 0..255, read-only."""
    look = _LOOKS[number]
    layer = look.draw(np.random.Generator(np.random.PCG64(_SEED + number)))
    layer = (layer - layer.mean()) * (look.deviation / layer.std())
    texture = to_pixels(layer[..., None] + np.array(look.colour, np.float32))
    texture.flags.writeable = False
    return texture


def _clouds(rng: np.random.Generator, largest_px: int, smallest_px: int) -> TextureLayer:
    """Add up smooth noise from the largest waves to the smallest, each half as long and half as strong."""
    import cv2

    total = np.zeros((HEIGHT, WIDTH), np.float32)
    wave, strength = largest_px, 1.0
    while wave >= smallest_px:
        grid = rng.standard_normal((HEIGHT // wave + 2, WIDTH // wave + 2), dtype=np.float32)
        smooth = cv2.resize(grid, None, fx=wave, fy=wave, interpolation=cv2.INTER_CUBIC)
        total += np.float32(strength) * smooth[:HEIGHT, :WIDTH]
        wave, strength = wave // 2, strength / 2
    return total


def _unit(layer: npt.NDArray[Any]) -> TextureLayer:
    return np.asarray((layer - layer.mean()) / layer.std(), dtype=np.float32)


def _mixed(*layers: tuple[npt.NDArray[Any], float]) -> TextureLayer:
    """Add up layers of any scale by their weights."""
    return np.asarray(sum(weight * _unit(layer) for layer, weight in layers), dtype=np.float32)


def _sheet(rng: np.random.Generator) -> TextureLayer:
    """Draw a crumpled sheet: the creases of noise, lit from one side, under slow clouds."""
    creases = np.abs(_clouds(rng, 32, 2)) + np.abs(_clouds(rng, 12, 2))
    lit = np.diff(creases, axis=1, prepend=creases[:, :1]) + np.diff(creases, axis=0, prepend=creases[:1])
    strength = np.clip(0.5 + 0.25 * _unit(_clouds(rng, 120, 30)), 0.1, 1)
    return _mixed((_clouds(rng, 240, 30), 1), (strength * _unit(lit), 0.5))


def _needles(rng: np.random.Generator) -> TextureLayer:
    """Draw long needles in tufts of about one direction, dark gaps between them."""
    import cv2

    canvas = np.full((HEIGHT, WIDTH), 128, np.uint8)
    for _ in range(900):
        at, angle = rng.uniform((0, 0), (WIDTH, HEIGHT)), rng.uniform(0, np.pi)
        for _ in range(8):
            own = angle + rng.normal(0, 0.15)
            start = at + rng.normal(0, 8, 2)
            end = start + rng.uniform(8, 70) * np.array([np.cos(own), np.sin(own)])
            level = int(np.clip(rng.normal(140, 40), 0, 255))
            cv2.line(canvas, _point(start), _point(end), level, 1, cv2.LINE_AA, _SHIFT)
    return _mixed((canvas, 1), (_clouds(rng, 160, 1), 0.9))


def _blades(rng: np.random.Generator) -> TextureLayer:
    """Draw short blades in rows, bright edges beside dark ones."""
    import cv2

    canvas = np.full((HEIGHT, WIDTH), 128, np.uint8)
    density = _unit(_clouds(rng, 120, 30))
    for _ in range(14000):
        at = rng.uniform((0, 0), (WIDTH, HEIGHT))
        angle = rng.choice((0.5, 0.5, 0.0, 0.25, 0.75)) * np.pi + rng.normal(0, 0.15)
        direction = np.array([np.cos(angle), np.sin(angle)])
        if density[int(at[1]), int(at[0])] < rng.normal(-0.5):
            continue
        end = at + min(20.0, 2 + rng.exponential(4)) * direction
        level = int(np.clip(rng.normal(128, 60), 0, 255))
        cv2.line(canvas, _point(at), _point(end), level, 1, cv2.LINE_AA, _SHIFT)
    return _mixed((canvas, 1), (_clouds(rng, 240, 1), 0.8))


def _feathers(rng: np.random.Generator) -> TextureLayer:
    """Draw feathers, the brighter ones in patches, over dark glass."""
    canvas = np.full((HEIGHT, WIDTH), 30, np.uint8)
    light = _unit(_clouds(rng, 120, 30))
    for _ in range(1100):
        at = rng.uniform((0, 0), (WIDTH, HEIGHT))
        level = 95 + 40 * float(light[int(at[1]), int(at[0])]) + rng.normal(0, 25)
        _feather(canvas, (at, rng.uniform(0, 2 * np.pi)), float(np.clip(level, 20, 255)), rng)
    return _mixed((canvas, 1), (light, 0.5), (_clouds(rng, 8, 1), 0.3))


def _feather(
    canvas: Pixels, place: tuple[npt.NDArray[np.float64], float], level: float, rng: np.random.Generator
) -> None:
    """Draw a bent stem whose barbs leave it at some 50 degrees on both sides, shorter to its tip."""
    import cv2

    at, angle = place
    length, spread = rng.uniform(15, 70), rng.uniform(0.7, 1.0)
    steps = np.arange(0, length, 2.5)
    bent = angle + rng.normal(0, 0.3) * steps / length
    stem = at + np.cumsum(2.5 * np.stack([np.cos(bent), np.sin(bent)], axis=1), axis=0)
    barb = 0.35 * (length - steps) * rng.uniform(0.7, 1.1, len(steps))
    for side in (-1, 1):
        turned = bent + side * spread
        ends = stem + barb[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)
        lines = np.stack([stem, ends], axis=1)
        cv2.polylines(canvas, list(_fixed(lines)), False, level * rng.uniform(0.7, 1.0), 1, cv2.LINE_AA, _SHIFT)
    cv2.polylines(canvas, [_fixed(stem)], False, min(255.0, 1.2 * level), 1, cv2.LINE_AA, _SHIFT)


_SHIFT: Final = 4
"""Places are drawn in 16ths of a pixel."""


def _fixed(places: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(places * 2**_SHIFT).astype(np.int32)


def _point(place: npt.NDArray[np.float64]) -> tuple[int, int]:
    across, down = _fixed(place).tolist()
    return across, down


_LOOKS: Final = (
    Frost(_sheet, (78, 149, 166), 16),
    Frost(_needles, (201, 205, 215), 20),
    Frost(_needles, (201, 205, 215), 20),
    Frost(_blades, (141, 158, 172), 27),
    Frost(_feathers, (102, 113, 125), 38),
)
TEXTURES: Final = len(_LOOKS)
"""How many textures there are."""
