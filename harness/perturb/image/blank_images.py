"""Images without content: what a model still scores on them it does not see."""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.perturb.image.corruption import Corruption, Pixels

_GREY: Final = 128


def blank_image(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Make all of an image mid-grey."""
    return np.full_like(pixels, _GREY)


def noise_image(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Draw every value uniformly from 0 to 255."""
    return rng.integers(0, 256, pixels.shape, dtype=np.uint8)


IMAGE_CONTROLS: Final = (
    Corruption("blank-image", "mid-grey instead of the image", "modality", blank_image, (1,)),
    Corruption("noise-image", "uniform noise instead of the image", "modality", noise_image, (1,)),
)
"""The two that take the image away; wrong images are an exchange."""
