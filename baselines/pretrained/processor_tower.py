"""A checkpoint's own image preprocessing as a vision tower of the benchmark.

The benchmark resizes and crops with Pillow; the tower scales and normalises. Together they give the
tensor that the checkpoint's processor (Pillow backend) gives for the same image, to 1e-5. Where the
crop cannot be centred exactly (an odd remainder) the two may lie one pixel apart: the benchmark rounds
as torchvision does, the processor always down.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from baselines.digests import text_digest
from harness.sample import Preprocessing

_BYTE = 1 / 255


class ProcessorTower(nn.Module):
    """Turns uint8 pixels `[B, 3, S, S]` into the float `pixel_values [B, 3, S, S]` that a model takes.

    The "tokens" are the normalised pixels: the model's own encoder runs in `predict`. So that no copy of
    every pixel is kept as a feature, such a tower is used with `vision_frozen = False`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, weights_digest: str, scale: float = _BYTE) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.width = preprocessing.size
        self.key = text_digest(f"pixels of {weights_digest} {preprocessing} {scale}")
        self.scale = scale
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale and normalise."""
        return (pixels.float() * self.scale - self.mean) / self.std


class RawTower(ProcessorTower):
    """Passes pixels on as floats 0..255, for a processor that must see the image itself."""

    def __init__(self, size: int, weights_digest: str) -> None:
        plain = Preprocessing(size, interpolation="bicubic", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), fit="squash")
        super().__init__(plain, weights_digest, scale=1.0)


def fixed_preprocessing(processor: Any) -> tuple[Preprocessing, float] | None:
    """Read a transformers image processor that always gives one square; with the factor that scales bytes.

    None for processors that do more than resize, crop, scale and normalise (tiles, patches, padding), or
    whose size depends on the image.
    """
    if not _is_plain(processor) or not processor.do_resize or getattr(processor, "do_pad", None):
        return None
    geometry = _geometry(processor)
    if geometry is None:
        return None
    size, crop_fraction, squash = geometry
    normalize = bool(processor.do_normalize)
    preprocessing = Preprocessing(
        size=size,
        crop_fraction=crop_fraction,
        interpolation=_interpolation(processor.resample),
        mean=_triple(processor.image_mean) if normalize else (0.0, 0.0, 0.0),
        std=_triple(processor.image_std) if normalize else (1.0, 1.0, 1.0),
        fit="squash" if squash else "crop",
    )
    return preprocessing, float(processor.rescale_factor) if processor.do_rescale else 1.0


def _is_plain(processor: Any) -> bool:
    """Tell whether every step is the library's common one."""
    from transformers.image_processing_backends import PilBackend, TorchvisionBackend

    steps = ("preprocess", "_preprocess", "resize", "center_crop", "rescale", "normalize")
    return any(
        all(getattr(type(processor), step, None) is getattr(backend, step, None) for step in steps)
        for backend in (TorchvisionBackend, PilBackend)
    )


def _geometry(processor: Any) -> tuple[int, float, bool] | None:
    """Return side, crop fraction and whether the image is squashed; None when the side is not fixed."""
    size, crop = _sides(processor.size), _sides(getattr(processor, "crop_size", None))
    cropped = bool(getattr(processor, "do_center_crop", None))
    square = size.get("height") if size.get("height") == size.get("width") else None
    if square and not cropped:
        return square, 1.0, True
    if square and crop.get("height") == crop.get("width") == square:
        return square, 1.0, True
    shortest, side = size.get("shortest_edge"), crop.get("height")
    if not cropped or size.keys() != {"shortest_edge"} or not shortest or not side:
        return None
    if side != crop.get("width") or side > shortest:
        return None
    return side, _crop_fraction(side, shortest), False


def _crop_fraction(side: int, shortest: int) -> float:
    """Find the fraction f with int(side / f) == shortest, whatever floats round to."""
    fraction = side / shortest
    return fraction if int(side / fraction) == shortest else math.nextafter(fraction, 0.0)


def _sides(size: Any) -> dict[str, int]:
    """Read a size that may be a dictionary, the library's SizeDict, or None."""
    names = ("height", "width", "shortest_edge", "longest_edge", "max_height", "max_width")
    values = size if isinstance(size, dict) else {name: getattr(size, name, None) for name in names}
    return {name: int(value) for name, value in values.items() if value is not None}


def _interpolation(resample: Any) -> str:
    """Name a Pillow filter, given as one, as its number, or as torchvision's mode."""
    from PIL.Image import Resampling

    if resample is None:
        return "bilinear"
    if isinstance(resample, int):
        return Resampling(resample).name.lower()
    return str(getattr(resample, "value", resample)).lower()


def _triple(values: Any) -> tuple[float, float, float]:
    numbers = [float(values)] * 3 if isinstance(values, int | float) else [float(value) for value in values]
    red, green, blue = numbers if len(numbers) == 3 else numbers[:1] * 3
    return red, green, blue
