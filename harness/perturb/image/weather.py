"""Weather: snow, frost on a pane, fog and glaring light."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.perturb.image.blur import Float32Array, smear
from harness.perturb.image.corruption import Corruption, Pixels, to_floats, to_pixels
from harness.perturb.image.frost_textures import TEXTURES, frost_texture

_SNOW: Final = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)  # mean and deviation of the flakes' noise, size in px, threshold, radius and sigma of the fall in px, image's share
_FROST: Final = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # share of the image, of the frost
FOG: Final = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # density; how fast its waves get smaller
_BRIGHTNESS: Final = (0.1, 0.2, 0.3, 0.4, 0.5)


def snow(pixels: Pixels, severity: int, rng: np.random.Generator, falls: Sequence[tuple[float, ...]] = _SNOW) -> Pixels:
    """Whiten an image and let flakes of random size fall over it, in the direction of the wind and its opposite."""
    import cv2

    share = falls[severity - 1][-1]
    values = to_floats(pixels)
    flakes = _flakes(pixels.shape[:2], falls[severity - 1], rng)
    whitened = cv2.cvtColor(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY) * 1.5 + 127.5, cv2.COLOR_GRAY2RGB)
    whitened = cv2.addWeighted(values, share, cv2.max(values, whitened), 1 - share, 0)
    snowy = cv2.add(whitened, cv2.cvtColor(flakes + flakes[::-1, ::-1], cv2.COLOR_GRAY2RGB))
    return to_pixels(np.asarray(snowy))


def _flakes(size: tuple[int, ...], fall: tuple[float, ...], rng: np.random.Generator) -> Float32Array:
    """Draw a layer `[H, W]` of falling snow, whole numbers 0..255."""
    mean, deviation, factor, threshold, radius, sigma, _ = fall
    height, width = size
    # Only the part that is enlarged need be drawn; its own enlargement starts at its first pixel.
    noise = rng.standard_normal((math.ceil(height / factor), math.ceil(width / factor)), dtype=np.float32)
    noise = noise * np.float32(deviation) + np.float32(mean)
    layer = _stretched(noise, factor)
    layer[layer < threshold] = 0
    np.clip(layer, 0, 1, out=layer)
    fallen = smear(layer, int(radius), sigma, rng.uniform(-135, -45))[:height, :width]
    return np.asarray(np.rint(fallen * 255), dtype=np.float32)


def _stretched(values: Float32Array, factor: float) -> Float32Array:
    """Enlarge all of `[h, w]` linearly, from corner to corner, to sides of `round(factor * side)`."""
    weights = [interpolation(side, round(side * factor)) for side in values.shape]
    return np.asarray(weights[0] @ values @ weights[1].T, dtype=np.float32)


@functools.lru_cache(16)
def interpolation(side: int, wanted: int) -> Float32Array:
    """Make the matrix `[wanted, side]` that interpolates linearly between `side` places, from end to end."""
    place = np.arange(wanted) * ((side - 1) / max(1, wanted - 1))
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(side))), dtype=np.float32)


def frost(
    pixels: Pixels,
    severity: int,
    rng: np.random.Generator,
    shares: Sequence[tuple[float, float]] = _FROST,
    shrunk: float = 1.0,
) -> Pixels:
    """Lay a random part of one of the frost textures over an image; larger images see enlarged textures.

    `shrunk` is the size in which textures are laid over small images.
    """
    import cv2

    share, frost_share = shares[severity - 1]
    texture = frost_texture(int(rng.integers(TEXTURES)))
    if shrunk != 1:
        texture = np.asarray(cv2.resize(texture, (0, 0), fx=shrunk, fy=shrunk), dtype=np.uint8)
    height, width = pixels.shape[:2]
    factor = max(height / texture.shape[0], width / texture.shape[1])
    if factor > 1:
        size = (math.ceil(texture.shape[1] * factor * 1.1), math.ceil(texture.shape[0] * factor * 1.1))
        texture = np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    top = int(rng.integers(texture.shape[0] - height + 1))
    left = int(rng.integers(texture.shape[1] - width + 1))
    seen = to_floats(texture[top : top + height, left : left + width])
    return to_pixels(np.asarray(cv2.addWeighted(to_floats(pixels), share, seen, frost_share, 0)))


def fog(pixels: Pixels, severity: int, rng: np.random.Generator, fogs: Sequence[Any] = FOG) -> Pixels:
    """Add a fractal cloud and darken to the brightness there was; a black image stays black."""
    import cv2

    density, decay = fogs[severity - 1]
    height, width = pixels.shape[:2]
    cloud = plasma(plasma_side(height, width), decay, rng)[:height, :width]
    brightest = int(pixels.max())
    dimming = brightest / (brightest + 255 * density)
    layer = (cloud * (255 * density * dimming)).astype(np.float32)
    return to_pixels(np.asarray(cv2.scaleAdd(to_floats(pixels), dimming, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB))))


def plasma_side(height: int, width: int) -> int:
    """Return the smallest power of 2 that covers an image."""
    return 1 << (max(height, width) - 1).bit_length()


def plasma(side: int, decay: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw a fractal height map `[side, side]`, 0..1 (diamond-square; Fournier et al. 1982); `side` is a power of 2.

    Each step halves the distance of the known places and divides their random displacement by `decay`. Opposite
    borders fit together. A map of one place is 0.
    """
    heights = np.zeros((side, side))
    step, swing = side, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        centres = heights[half::step, half::step]
        above = corners + np.roll(corners, -1, axis=0)
        centres[:] = _displaced(above + np.roll(above, -1, axis=1), swing, rng)
        heights[::step, half::step] = _displaced(
            centres + np.roll(centres, 1, axis=0) + corners + np.roll(corners, -1, axis=1), swing, rng
        )
        heights[half::step, ::step] = _displaced(
            centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=0), swing, rng
        )
        step, swing = half, swing / decay
    heights -= heights.min()
    highest = heights.max()
    return heights / highest if highest > 0 else heights


def _displaced(sums: npt.NDArray[np.float64], swing: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Take the mean of four neighbours and displace it; the swing counts twice, as published."""
    return sums / 4 + swing * rng.uniform(-swing, swing, sums.shape)


def brightness(
    pixels: Pixels, severity: int, rng: np.random.Generator, addends: tuple[float, ...] = _BRIGHTNESS
) -> Pixels:
    """Raise the value of HSV, which is the largest channel; hue and saturation stay."""
    import cv2

    red, green, blue = cv2.split(pixels)
    value = cv2.cvtColor(cv2.max(cv2.max(red, green), blue), cv2.COLOR_GRAY2RGB).astype(np.uint16)
    value <<= 8
    value |= pixels
    return brightened(severity, addends).take(value)


@functools.lru_cache(10)
def brightened(severity: int, addends: tuple[float, ...] = _BRIGHTNESS) -> Pixels:
    """Tell what becomes of a channel in a pixel of some value: a table `[value * 256 + channel]`."""
    value, channel = np.mgrid[:256, :256].astype(np.float64)
    raised = np.minimum(value + 255 * addends[severity - 1], 255)
    black = value == 0
    return to_pixels(np.where(black, raised, channel * raised / np.where(black, 1, value))).ravel()


WEATHER: Final = (
    Corruption("snow", "falling snow", "weather", snow),
    Corruption("frost", "frost on a pane; its textures are made, not photographed", "weather", frost),
    Corruption("fog", "fog, as a fractal cloud", "weather", fog),
    Corruption("brightness", "glaring light", "weather", brightness),
)
"""The weather of ImageNet-C, severities 1 to 5."""
