"""Noise: of the sensor (Gaussian), of the light (shot), of broken bits (impulse); and speckle, which is `extra`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from harness.perturb.image.corruption import Corruption, Pixels, to_pixels
from harness.perturb.image.poisson_draws import draw_photons

GAUSSIAN_DEVIATIONS: Final = (0.08, 0.12, 0.18, 0.26, 0.38)
PHOTONS: Final = (60, 25, 12, 5, 3)
IMPULSE_SHARES: Final = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE_DEVIATIONS: Final = (0.15, 0.2, 0.35, 0.45, 0.6)


def gaussian_noise(
    pixels: Pixels, severity: int, rng: np.random.Generator, deviations: Sequence[Any] = GAUSSIAN_DEVIATIONS
) -> Pixels:
    """Add normal noise to every value; its standard deviation is a share of white."""
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    noise *= np.float32(255 * deviations[severity - 1])
    noise += pixels
    return to_pixels(noise)


def shot_noise(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Draw every value anew as a count of photons."""
    return draw_photons(pixels, PHOTONS[severity - 1], rng)


def impulse_noise(
    pixels: Pixels, severity: int, rng: np.random.Generator, shares: Sequence[Any] = IMPULSE_SHARES
) -> Pixels:
    """Make a share of all values (each channel by itself) white or black, with equal chances."""
    share = round(65536 * shares[severity - 1])
    bits = rng.integers(0, 65536, pixels.shape, dtype=np.uint16)
    salted = np.where(bits < share, np.uint8(255), pixels)
    return np.where(bits < share // 2, np.uint8(0), salted)


def speckle_noise(
    pixels: Pixels, severity: int, rng: np.random.Generator, deviations: Sequence[Any] = SPECKLE_DEVIATIONS
) -> Pixels:
    """Add normal noise in proportion to each value."""
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    noise *= np.float32(deviations[severity - 1])
    noise += np.float32(1)
    noise *= pixels
    return to_pixels(noise)


NOISES: Final = (
    Corruption("gaussian-noise", "normal noise of a sensor in low light", "noise", gaussian_noise),
    Corruption("shot-noise", "noise of too few photons", "noise", shot_noise),
    Corruption("impulse-noise", "values that are black or white, as of broken bits", "noise", impulse_noise),
)
"""The noises of ImageNet-C, severities 1 to 5."""
