"""The corruptions with the strengths of CIFAR-10-C, published for images of 32 px.

Hendrycks & Dietterich 2019 (arXiv 1903.12261), `make_cifar_c.py`. What differs by more than its strengths from the
corruptions for 224 px has its function here: shot noise (more photons than a table holds), pixelate (boxes both ways)
and elastic transform (a random affine map first).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from harness.perturb.image.blur import BLURS, defocus_blur, gaussian_blur, motion_blur, zoom_blur
from harness.perturb.image.corruption import Corruption, PixelChange, Pixels, to_floats, to_pixels
from harness.perturb.image.digital import DIGITAL, contrast, jpeg, saturate
from harness.perturb.image.extra import EXTRA, spatter
from harness.perturb.image.glass_blur import glass_blur
from harness.perturb.image.noise import NOISES, gaussian_noise, impulse_noise, speckle_noise
from harness.perturb.image.weather import WEATHER, brightness, fog, frost, snow

SIDE_PX: Final = 32
CIFAR_PHOTONS: Final = (500, 250, 100, 75, 50)
CIFAR_PIXELATE: Final = (0.95, 0.9, 0.85, 0.75, 0.65)
ELASTIC: Final = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
"""Length and width of the moves and reach of the affine map, as shares of 32 px."""


def cifar_shot_noise(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Draw every value anew as a count of photons."""
    photons = CIFAR_PHOTONS[severity - 1]
    return to_pixels(rng.poisson(pixels / 255 * photons) / photons * 255)


def cifar_pixelate(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Average over boxes, down and up again; at least one box a side."""
    from PIL import Image

    height, width = pixels.shape[:2]
    share = CIFAR_PIXELATE[severity - 1]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    return np.array(
        Image.fromarray(pixels).resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
    )


def cifar_elastic_transform(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Map three places near the centre at random, then move every place a little, near ones alike."""
    import cv2
    from scipy.ndimage import gaussian_filter, map_coordinates

    length, width, reach = (SIDE_PX * share for share in ELASTIC[severity - 1])
    size = pixels.shape[:2]
    middle, third = np.array(size, dtype=np.float32) // 2, min(size) // 3
    places = np.array([middle + third, [middle[0] + third, middle[1] - third], middle - third], dtype=np.float32)
    moved = places + rng.uniform(-reach, reach, places.shape).astype(np.float32)
    matrix = cv2.getAffineTransform(places, moved)
    values = cv2.warpAffine(to_floats(pixels), matrix, size[::-1], borderMode=cv2.BORDER_REFLECT_101)
    across, down = (
        gaussian_filter(rng.uniform(-1, 1, size), width, mode="reflect", truncate=3) * length for _ in range(2)
    )
    rows, columns = np.mgrid[: size[0], : size[1]]
    channels = [
        map_coordinates(values[..., channel], (rows + down, columns + across), order=1, mode="reflect")
        for channel in range(3)
    ]
    return to_pixels(np.stack(channels, axis=-1))


_CHANGES: Final[Mapping[str, PixelChange]] = {
    "gaussian-noise": partial(gaussian_noise, deviations=(0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot-noise": cifar_shot_noise,
    "impulse-noise": partial(impulse_noise, shares=(0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus-blur": partial(defocus_blur, disks=((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "glass-blur": partial(glass_blur, parameters=((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))),
    "motion-blur": partial(motion_blur, motions=((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    "zoom-blur": partial(zoom_blur, zooms=((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))),
    "snow": partial(
        snow,
        falls=(
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
    ),
    "frost": partial(frost, shares=((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), shrunk=0.2),
    "fog": partial(fog, fogs=((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    "brightness": partial(brightness, addends=(0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": partial(contrast, shares=(0.75, 0.5, 0.4, 0.3, 0.15)),
    "elastic-transform": cifar_elastic_transform,
    "pixelate": cifar_pixelate,
    "jpeg": partial(jpeg, qualities=(80, 65, 58, 50, 40)),
    "speckle-noise": partial(speckle_noise, deviations=(0.06, 0.1, 0.12, 0.16, 0.2)),
    "gaussian-blur": partial(gaussian_blur, sigmas=(0.4, 0.6, 0.7, 0.8, 1)),
    "spatter": partial(
        spatter,
        drops=(
            (0.62, 0.1, 0.7, 0.7, 0.5),
            (0.65, 0.1, 0.8, 0.7, 0.5),
            (0.65, 0.3, 1, 0.69, 0.5),
            (0.65, 0.1, 0.7, 0.69, 0.6),
            (0.65, 0.1, 0.5, 0.68, 0.6),
        ),
    ),
    "saturate": partial(saturate, changes=((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))),
}
CIFAR: Final[Mapping[str, Corruption]] = {
    corruption.name: replace(corruption, change=_CHANGES[corruption.name], made_for_px=SIDE_PX)
    for corruption in (*NOISES, *BLURS, *WEATHER, *DIGITAL, *EXTRA)
}
"""By the names that they have for 224 px: the 15 of CIFAR-10-C and its 4 extra ones."""
