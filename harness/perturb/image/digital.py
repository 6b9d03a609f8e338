"""What processing does: less contrast, elastic distortion, coarse pixels, JPEG; and saturation, which is `extra`."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np

from harness.perturb.image.blur import Float32Array
from harness.perturb.image.corruption import Corruption, Pixels, to_floats, to_pixels

CONTRAST: Final = (0.4, 0.3, 0.2, 0.1, 0.05)
_ELASTIC: Final = (12.5, 16.25, 21.25, 25.0, 30.0)
PIXELATE: Final = (0.6, 0.5, 0.4, 0.3, 0.25)
_JPEG_QUALITY: Final = (25, 18, 15, 10, 7)
SATURATE: Final = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))  # factor and addend


def contrast(pixels: Pixels, severity: int, rng: np.random.Generator, shares: Sequence[Any] = CONTRAST) -> Pixels:
    """Bring every value nearer to the mean of its channel."""
    import cv2

    mean = np.array(cv2.mean(pixels)[:3])
    table = (np.arange(256.0)[:, None] - mean) * shares[severity - 1] + mean
    return np.asarray(cv2.LUT(pixels, to_pixels(table)[None]), dtype=np.uint8)


def elastic_transform(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Move every place a little, near ones alike; the width of the moves is a hundredth of each side.

    As published, their length follows the height in both directions.
    """
    import cv2

    height, width = pixels.shape[:2]
    right, down = (_moves((height, width), _ELASTIC[severity - 1], rng) for _ in range(2))
    right += np.arange(width, dtype=np.float32)
    down += np.arange(height, dtype=np.float32)[:, None]
    return to_pixels(
        np.asarray(cv2.remap(to_floats(pixels), right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
    )


def _moves(size: tuple[int, int], strength: float, rng: np.random.Generator) -> Float32Array:
    """Draw smooth moves in px, `[H, W]`."""
    import cv2

    longest = size[0] * 0.005
    noise = rng.uniform(-longest, longest, size).astype(np.float32)
    sigmas = [0.01 * side for side in size]
    down, across = (2 * int(3 * sigma + 0.5) + 1 for sigma in sigmas)
    smooth = cv2.GaussianBlur(noise, (across, down), sigmas[1], sigmaY=sigmas[0], borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth * np.float32(strength))


def pixelate(pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Average over boxes and show them as large pixels; at least one box a side."""
    from PIL import Image

    height, width = pixels.shape[:2]
    share = PIXELATE[severity - 1]
    small = Image.fromarray(pixels).resize(
        (max(1, int(width * share)), max(1, int(height * share))), Image.Resampling.BOX
    )
    return np.array(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg(pixels: Pixels, severity: int, rng: np.random.Generator, qualities: Sequence[Any] = _JPEG_QUALITY) -> Pixels:
    """Store and read as JPEG of low quality."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=qualities[severity - 1])
    return np.array(Image.open(file))


def saturate(pixels: Pixels, severity: int, rng: np.random.Generator, changes: Sequence[Any] = SATURATE) -> Pixels:
    """Change the saturation of HSV: less of it at severities 1 and 2, more at 3 to 5.

    Grey has the hue of red, as published, and gets reddish at 4 and 5.
    """
    import cv2

    factor, addend = changes[severity - 1]
    red, green, blue = cv2.split(pixels)
    value = cv2.max(cv2.max(red, green), blue)
    spread = value - cv2.min(cv2.min(red, green), blue)
    wanted = np.clip(spread.astype(np.float32) / np.maximum(value, 1) * np.float32(factor) + np.float32(addend), 0, 1)
    is_grey = spread == 0
    scale = wanted * value / np.maximum(spread, 1)
    channels = [value - (value - channel) * scale for channel in (red, green, blue)]
    for channel in channels[1:]:
        channel[is_grey] = (value * (1 - wanted))[is_grey]
    return to_pixels(np.stack(channels, axis=-1))


DIGITAL: Final = (
    Corruption("contrast", "low contrast", "digital", contrast),
    Corruption("elastic-transform", "places moved as on stretched rubber", "digital", elastic_transform),
    Corruption("pixelate", "large pixels", "digital", pixelate),
    Corruption("jpeg", "JPEG of low quality", "digital", jpeg),
)
"""The digital corruptions of ImageNet-C, severities 1 to 5."""
