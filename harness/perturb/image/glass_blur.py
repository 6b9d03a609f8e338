"""Glass blur: pixels are shuffled locally between two Gaussian blurs.

The published code walks over the pixels from the last to the first and "swaps" each with one near by. As both sides
of its swap are NumPy views, it copies: each pixel takes the value that the other one has at that moment, its final
value if it was walked over before, else its first one. So each pixel points to another, and following the pointers
until one is not yet walked over says where its value comes from; doubling them takes some five steps for the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.perturb.image.corruption import Pixels

_PARAMETERS: Final = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # sigma, reach in px, rounds


def glass_blur(
    pixels: Pixels, severity: int, rng: np.random.Generator, parameters: Sequence[Any] = _PARAMETERS
) -> Pixels:
    """Blur, shuffle and blur; a pixel nearer to the border than the reach keeps its place.

    In an image without other pixels (a side of at most twice the reach) only the two blurs remain.
    """
    sigma, reach, rounds = parameters[severity - 1]
    height, width = pixels.shape[:2]
    shuffled = _blurred(pixels, sigma)
    inner = (max(0, height - 2 * reach), max(0, width - 2 * reach))
    for _ in range(rounds if min(inner) else 0):
        offsets = rng.integers(-reach, reach, (*inner, 2))
        shuffled = shuffled.reshape(-1, 3)[shuffle_sources((height, width), reach, offsets)]
    return _blurred(shuffled.reshape(pixels.shape), sigma)


def shuffle_sources(size: tuple[int, int], reach: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return from which place (row times width plus column) each place of an image takes its value, `[H * W]`.

    `size` is (height, width). `offsets` `[H - 2 reach, W - 2 reach, 2]`, from -reach to reach - 1, are how far
    (right, down) of a pixel the one lies that it takes, in the order of the walk: from the last inner pixel back.
    """
    height, width = size
    own = np.arange(height * width).reshape(size)
    inner = (slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    steps = offsets[::-1, ::-1]
    source = own.copy()
    source[inner] += steps[..., 1] * width + steps[..., 0]
    walked = np.zeros(size, dtype=bool)
    walked[inner] = True
    return _followed(source.ravel(), walked.ravel())


def _followed(source: npt.NDArray[np.intp], walked: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Follow `source` as long as it leads to a place that was walked over before, whose final value is wanted."""
    own = np.arange(len(source))
    pointer = np.where(walked[source] & (source > own), source, own)
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return source[pointer]
        pointer = further


def _blurred(pixels: Pixels, sigma: float) -> Pixels:
    """Blur in float64 with SciPy, operation by operation as the published code does, so that results are equal."""
    from scipy.ndimage import gaussian_filter

    values = gaussian_filter(pixels / 255.0, (sigma, sigma, 0), mode="nearest", truncate=4.0)
    return np.asarray(np.clip(values, 0, 1) * 255).astype(np.uint8)
