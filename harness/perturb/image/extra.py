"""The four extra corruptions of ImageNet-C, kept apart for development: they are no part of mCE or mPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from harness.perturb.image.blur import Float32Array, gaussian_blur
from harness.perturb.image.corruption import Corruption, Pixels, to_floats, to_pixels
from harness.perturb.image.digital import saturate
from harness.perturb.image.noise import speckle_noise

_SPATTER: Final = (
    (0.65, 0.3, 4, 0.69, 0.6),
    (0.65, 0.3, 3, 0.68, 0.6),
    (0.65, 0.3, 2, 0.68, 0.5),
    (0.65, 0.3, 1, 0.65, 1.5),
    (0.67, 0.4, 1, 0.65, 1.5),
)  # mean and deviation of the liquid's noise, its sigma in px, threshold, then strength (water) or sigma (mud)
_WATER_SEVERITIES: Final = 3
_WATER: Final = (175, 238, 238)
_MUD: Final = (63, 42, 20)
_EMBOSS: Final = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def spatter(pixels: Pixels, severity: int, rng: np.random.Generator, drops: Sequence[Any] = _SPATTER) -> Pixels:
    """Spatter the lens with drops of water (severities 1 to 3) or mud (4 and 5).

    In a small image there may be none, and it stays as it is.
    """
    mean, deviation, sigma, threshold, strength = drops[severity - 1]
    noise = rng.standard_normal(pixels.shape[:2], dtype=np.float32)
    liquid = _smooth(noise * np.float32(deviation) + np.float32(mean), sigma)
    liquid[liquid < threshold] = 0
    if severity <= _WATER_SEVERITIES:
        return to_pixels(to_floats(pixels) + _water(liquid, strength)[..., None] * np.array(_WATER, np.float32))
    mud = _smooth((liquid > threshold).astype(np.float32), strength)
    mud[mud < 0.8] = 0
    return to_pixels(to_floats(pixels) * (1 - mud)[..., None] + mud[..., None] * np.array(_MUD, np.float32))


def _water(liquid: Float32Array, strength: float) -> Float32Array:
    """Light the drops from one side: shares of their colour `[H, W]`, 0..strength, or all 0."""
    import cv2

    levels = np.clip(liquid * 255, 0, 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(levels, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    lit = cv2.filter2D(cv2.equalizeHist(distance), cv2.CV_8U, np.array(_EMBOSS, np.float32))
    drops = np.asarray(cv2.blur(lit, (3, 3)).astype(np.float32)) * levels
    highest = float(drops.max())
    return drops * np.float32(strength / highest) if highest > 0 else drops


def _smooth(values: Float32Array, sigma: float) -> Float32Array:
    """Average `[H, W]` under a normal curve that is cut off at four standard deviations."""
    import cv2

    width = 2 * int(4 * sigma + 0.5) + 1
    return np.asarray(cv2.GaussianBlur(values, (width, width), sigma, borderType=cv2.BORDER_REPLICATE))


EXTRA: Final = (
    Corruption("speckle-noise", "noise in proportion to the light", "extra", speckle_noise),
    Corruption("gaussian-blur", "blur under a normal curve", "extra", gaussian_blur),
    Corruption("spatter", "drops of water or mud on the lens", "extra", spatter),
    Corruption("saturate", "colours too pale or too strong", "extra", saturate),
)
"""The extra corruptions of ImageNet-C, severities 1 to 5."""
