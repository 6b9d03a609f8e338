"""A checkpoint's own image preprocessing as a vision tower of the benchmark.

The benchmark resizes, crops and pads with Pillow; the tower scales and normalises. `image_geometry` finds the
two such that together they give the tensor that the checkpoint's processor (Pillow backend) gives for the
same image, to 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.weights.digests import text_digest
from harness.sample import Preprocessing

_BYTE = 1 / 255
_MOST_PIXELS = 1 << 24
"""How many pixels go through a network at once; more would only cost memory."""


class ProcessorTower(nn.Module):
    """Turns pixels 0..255, uint8 or float, into the float `pixel_values [B, 3, S, S]` that a model takes.

    The "tokens" are the normalised pixels: the model's own encoder runs in `predict`. So that no copy of
    every pixel is kept as a feature, such a tower is used with `vision_frozen = False`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, weights_digest: str) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.width = preprocessing.size
        self.key = text_digest(f"pixels of {weights_digest} {preprocessing}")
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale to 0..1 and normalise."""
        return self.normalized(pixels)

    def normalized(self, pixels: Tensor) -> Tensor:
        """Scale pixels 0..255 to what the network is given."""
        return (pixels.float() * _BYTE - self.mean) / self.std


@dataclass(frozen=True)
class WholeImage(Preprocessing):
    """Leaves an image as it is; only one that is longer than `size` is made smaller, in its own aspect.

    `crop_fraction`, which means nothing where images are padded, tells the pixel caches of different rules apart.
    """

    crop_fraction: float = 0.75
    interpolation: str = "bicubic"
    fit: str = "pad"

    def extent(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height in px that an image of this size takes of the square."""
        scale = min(1.0, self.size / max(width_px, height_px))
        return max(1, round(width_px * scale)), max(1, round(height_px * scale))


class RawTower(ProcessorTower):
    """Passes pixels on as floats 0..255, for a processor that must see the image itself, in any size and aspect."""

    def __init__(self, size: int, weights_digest: str) -> None:
        super().__init__(WholeImage(size, mean=(0.0, 0.0, 0.0), std=(_BYTE, _BYTE, _BYTE)), weights_digest)

    def images(self, pixels: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Cut the images `[3, H, W]` out of their squares `[B, 3, S, S]`; `sizes` are those on disk, in px."""
        extents = (self.preprocessing.extent(*size) for size in sizes)
        return [square[:, :down, :across] for square, (across, down) in zip(pixels, extents, strict=True)]


def equal_extents(
    pixels: Tensor, preprocessing: Preprocessing, sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[list[int], Tensor]]:
    """Cut the images of a batch out of their squares; yields row numbers and pixels `[n, 3, H, W]` of one size.

    A processor pads the images of a batch to a common size, so that answers depend on the neighbours; for a
    single image it pads nothing. Images of equal size need no padding either, and rows do not meet.
    """
    rows_by_extent: dict[tuple[int, int], list[int]] = {}
    for row, size in enumerate(sizes):
        rows_by_extent.setdefault(preprocessing.extent(*size), []).append(row)
    for (width, height), rows in rows_by_extent.items():
        most = max(1, _MOST_PIXELS // (width * height))
        for start in range(0, len(rows), most):
            chosen = rows[start : start + most]
            places = torch.tensor(chosen).to(pixels.device, non_blocking=True)
            yield chosen, pixels[places, :, :height, :width]
