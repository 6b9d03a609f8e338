"""Blur: out of focus, through frosted glass, of a moving camera, of a zooming lens; and Gaussian, which is `extra`.

Kernels larger than the image see its border repeated (defocus: mirrored), at any size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.perturb.image.corruption import Corruption, Pixels, to_floats, to_pixels
from harness.perturb.image.glass_blur import glass_blur

Float32Array = npt.NDArray[np.float32]

DISKS: Final = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius in px, sigma of its edge
_MOTIONS: Final = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius and sigma in px
ZOOMS: Final = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end and step, from 1
SIGMAS: Final = (1, 2, 3, 4, 6)


def defocus_blur(pixels: Pixels, severity: int, rng: np.random.Generator, disks: Sequence[Any] = DISKS) -> Pixels:
    """Average over a disk with a soft edge."""
    import cv2

    kernel = disk(*disks[severity - 1])
    return to_pixels(np.asarray(cv2.filter2D(to_floats(pixels), -1, kernel)))


@functools.lru_cache(8)
def disk(radius: float, edge_sigma: float) -> Float32Array:
    """Make the kernel of a disk with a soft edge, `[K, K]`; as published, it sums to 1.01 for 8 and 10 px."""
    import cv2

    reach, edge = (8, 3) if radius <= 8 else (radius, 5)
    place = np.arange(-reach, reach + 1)
    full = (place[:, None] ** 2 + place**2 <= radius**2).astype(np.float32)
    kernel = np.asarray(cv2.GaussianBlur(full / full.sum(), (edge, edge), edge_sigma))
    empty = int(np.argmax(kernel.any(axis=0)))  # as many on all four sides
    return kernel[empty : len(kernel) - empty, empty : len(kernel) - empty].copy()


def motion_blur(pixels: Pixels, severity: int, rng: np.random.Generator, motions: Sequence[Any] = _MOTIONS) -> Pixels:
    """Smear along a straight line within 45 degrees of horizontal, with a tail that fades as a normal curve."""
    radius, sigma = motions[severity - 1]
    return to_pixels(smear(to_floats(pixels), radius, sigma, rng.uniform(-45, 45)))


def smear(values: Float32Array, radius_px: int, sigma_px: float, angle_degrees: float) -> Float32Array:
    """Smear `[H, W]` or `[H, W, 3]` over 2 `radius_px` + 1 places; beyond the border its last pixel goes on.

    The published code stops where the line leaves the image, and so makes images of less than 41 px darker.
    """
    import cv2

    width = 2 * radius_px + 1
    weights = np.exp(-(np.arange(width) ** 2) / (2 * sigma_px**2))
    weights /= weights.sum()
    steps = _line(width, angle_degrees)
    left, right = (max(0, *(sign * x for x, _ in steps)) for sign in (-1, 1))
    top, bottom = (max(0, *(sign * y for _, y in steps)) for sign in (-1, 1))
    padded = cv2.copyMakeBorder(values, top, bottom, left, right, cv2.BORDER_REPLICATE)
    total = np.zeros_like(values)
    height, length = values.shape[:2]
    for (x, y), weight in zip(steps, weights.tolist(), strict=True):
        seen = padded[top + y : top + y + height, left + x : left + x + length]
        total = np.asarray(cv2.scaleAdd(seen, weight, total, total))
    return total


def _line(width: int, angle_degrees: float) -> list[tuple[int, int]]:
    """Say how far in px (right, down) of a pixel each of the pixels lies that are smeared onto it."""
    across, down = width * np.cos(np.deg2rad(angle_degrees)), width * np.sin(np.deg2rad(angle_degrees))
    length = math.hypot(down, across)
    return [(math.ceil(i * across / length - 0.5), math.ceil(i * down / length - 0.5)) for i in range(width)]


def zoom_blur(
    pixels: Pixels, severity: int, rng: np.random.Generator, zooms: Sequence[tuple[float, float]] = ZOOMS
) -> Pixels:
    """Average an image with its own enlargements, by up to a tenth (severity 1) or a third (5)."""
    factors = zoom_factors(severity, zooms)
    values = to_floats(pixels)
    total = values.copy()
    for factor in factors:
        total += enlarged_centre(values, values.shape[:2], factor)
    total /= len(factors) + 1
    return to_pixels(total)


def zoom_factors(severity: int, zooms: Sequence[tuple[float, float]] = ZOOMS) -> list[float]:
    """List the enlargements that zoom blur averages, from 1."""
    end, step = zooms[severity - 1]
    return [float(factor) for factor in np.arange(1, end, step)]


def enlarged_centre(values: Float32Array, size: tuple[int, int], factor: float) -> Float32Array:
    """Enlarge the centre of `[H, W]` or `[H, W, 3]` linearly to (height, width) `size`, from corner to corner.

    The part that is enlarged is the smallest that fills `[H, W]`, in whole pixels; what is beyond `size` is cut off.
    """
    import cv2

    (top, _, down), (left, _, across) = (centre(side, factor) for side in values.shape[:2])
    matrix = np.array([[across, 0, left], [0, down, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(values, matrix, (size[1], size[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.float32,
    )


def centre(side_px: int, factor: float) -> tuple[int, int, float]:
    """Return where the part of a side begins that is enlarged, its length, and the step between new neighbours."""
    part = math.ceil(side_px / factor)
    return (side_px - part) // 2, part, (part - 1) / max(1, round(part * factor) - 1)


def gaussian_blur(pixels: Pixels, severity: int, rng: np.random.Generator, sigmas: Sequence[Any] = SIGMAS) -> Pixels:
    """Average under a normal curve, cut off at four standard deviations."""
    import cv2

    sigma = sigmas[severity - 1]
    width = 2 * int(4 * sigma + 0.5) + 1
    blurred = cv2.GaussianBlur(to_floats(pixels), (width, width), sigma, borderType=cv2.BORDER_REPLICATE)
    return to_pixels(np.asarray(blurred))


BLURS: Final = (
    Corruption("defocus-blur", "out of focus", "blur", defocus_blur),
    Corruption("glass-blur", "seen through frosted glass", "blur", glass_blur),
    Corruption("motion-blur", "the camera moves", "blur", motion_blur),
    Corruption("zoom-blur", "the camera comes nearer", "blur", zoom_blur),
)
"""The blurs of ImageNet-C, severities 1 to 5."""
