"""Finds the benchmark's preprocessing for a transformers image processor, and proves it on probe images.

What a processor's numbers mean differs from class to class, so a few readings are proposed, and the first one
that gives the processor's own tensor for images of four shapes is taken. Where none does (tiles, patches,
sides that are not equal, a size without bound), there is no preprocessing, and nobody is squashed silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from baselines.pretrained.processor_tower import ProcessorTower
from harness.errors import UsageError
from harness.inputs.images import fit_image
from harness.sample import Preprocessing

_PROBES = ((97, 61), (61, 97), (80, 80), (150, 60))
_PILLOW_TOLERANCE = 1e-5
_GREY_LEVELS = 2.0
"""How far torchvision's resizing may differ from Pillow's, for processors that have no Pillow backend."""
_YOLOS_MULTIPLE = 16


@dataclass(frozen=True)
class AspectPreprocessing(Preprocessing):
    """Keeps the aspect as DETR's processor does, to the pixel: sides are cut, not rounded, to whole numbers.

    The longer side is at most `longest`, the shorter one `shortest`; each is then brought to a `multiple`,
    up as MaskFormer does or down as YOLOS does, which stretches the image a little. `crop_fraction`, which means
    nothing where images are padded, tells the pixel caches of different rules apart.
    """

    longest: int = 0
    multiple: int = 1
    up: bool = True

    def extent(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height in px that an image of this size takes of the square.

        The processor leaves an image as it is whose shorter side is right already, even when that makes the longer one
        a px too long; that px is taken away here.
        """
        from transformers.image_transforms import get_size_with_aspect_ratio

        height, width = get_size_with_aspect_ratio((height_px, width_px), self.shortest, self.longest)
        return self._to_multiple(width), self._to_multiple(height)

    def _to_multiple(self, side: int) -> int:
        count = math.ceil(side / self.multiple) if self.up else side // self.multiple
        return min(max(1, count) * self.multiple, self.size)


def find_tower(processor: Any, weights_digest: str, fits: tuple[str, ...]) -> ProcessorTower:
    """Find the tower that sees what the processor gives; `fits` are the ways of fitting that are allowed.

    Raises UsageError for a processor whose geometry the benchmark does not have.
    """
    tower = find_tower_or_none(processor, weights_digest, fits)
    if tower is not None:
        return tower
    seen = ", ".join(f"{name} {_sides(getattr(processor, name, None))}" for name in ("size", "crop_size", "pad_size"))
    raise UsageError(
        f"The image processor {type(processor).__name__} ({seen}) does something to images that cannot be done here. "
        f"Wanted one that can be written as {' or '.join(fits)}: a square, or shortest_edge with longest_edge. "
        "Change `size` in its preprocessor_config.json, or take another checkpoint."
    )


def find_tower_or_none(processor: Any, weights_digest: str, fits: tuple[str, ...]) -> ProcessorTower | None:
    """Find the tower that sees what the processor gives; None where there is none."""
    if not getattr(processor, "do_resize", None):
        return None
    for geometry in _readings(processor):
        if geometry.fit in fits:
            tower = _tower(processor, geometry, weights_digest)
            if _gives_the_same(processor, tower):
                return tower
    return None


def square_canvas_tower(processor: Any, weights_digest: str) -> ProcessorTower:
    """Read OWLv2's processor, which pads to a square with black and then resizes in floating point.

    Here the image is resized first, by Pillow, and padded then. Inside the image both agree to a grey level
    where it grows; where it shrinks the two smooth differently, and at the edge of the padding the
    processor blends the last pixels with black.
    """
    size = _sides(processor.size)
    side = size.get("height")
    if not (processor.do_resize and processor.do_pad and side and side == size.get("width")):
        raise UsageError(
            f"The image processor {type(processor).__name__} (size {size}, do_resize {processor.do_resize}, "
            f"do_pad {processor.do_pad}) is not OWLv2's. Wanted one that pads to a square and resizes it."
        )
    return _tower(processor, Preprocessing(side, fit="pad"), weights_digest)


def _readings(processor: Any) -> Iterator[Preprocessing]:
    """Propose what the processor's numbers may mean, the common meaning first."""
    size, crop = _sides(processor.size), _sides(getattr(processor, "crop_size", None))
    square = size.get("height") if size.get("height") == size.get("width") else None
    shortest, longest = size.get("shortest_edge"), size.get("longest_edge")
    if square:
        yield Preprocessing(square, fit="squash")
    if shortest and longest:
        divisor = int(getattr(processor, "size_divisor", None) or 1)
        for multiple, up in ((divisor, True), (1, True), (_YOLOS_MULTIPLE, False)):
            canvas = math.ceil(longest / multiple) * multiple
            mark = 1 / (2 * multiple + up)
            yield AspectPreprocessing(
                canvas, mark, fit="pad", shortest=shortest, longest=longest, multiple=multiple, up=up
            )
    elif shortest:
        side = crop.get("height", shortest) if crop.get("height") == crop.get("width") else shortest
        percentage = getattr(processor, "crop_pct", None)
        resized = (shortest, int(256 / 224 * shortest), *([int(shortest / percentage)] if percentage else []))
        for edge in resized:
            if edge >= side:
                yield Preprocessing(side, crop_fraction=_crop_fraction(side, edge), fit="crop")
        yield Preprocessing(shortest, fit="squash")


def _tower(processor: Any, geometry: Preprocessing, weights_digest: str) -> ProcessorTower:
    """Add filter, mean and std to a geometry, and make its tower.

    Mean and std are those of values in 0..1, whatever the processor scales bytes to.
    """
    mean = np.array(_triple(processor.image_mean) if processor.do_normalize else (0.0, 0.0, 0.0))
    std = np.array(_triple(processor.image_std) if processor.do_normalize else (1.0, 1.0, 1.0))
    if getattr(processor, "rescale_offset", False):  # EfficientNet's: bytes become -1..1 before all else
        mean = mean + 1
    largest = 255 * float(processor.rescale_factor) if processor.do_rescale else 255.0
    mean, std = mean / largest, std / largest
    if getattr(processor, "include_top", False):  # EfficientNet's: divides by std once more
        std = std * np.array(_triple(processor.image_std))
    interpolation = _interpolation(processor.resample)
    filled = replace(geometry, interpolation=interpolation, mean=_triple(mean.tolist()), std=_triple(std.tolist()))
    return ProcessorTower(filled, weights_digest)


def _gives_the_same(processor: Any, tower: ProcessorTower) -> bool:
    """Compare tower and processor on images of four shapes."""
    geometry = tower.preprocessing
    tolerance = _PILLOW_TOLERANCE
    if processor.backend != "pil":
        tolerance = _GREY_LEVELS / 255 / min(geometry.std)
    for width, height in _PROBES:
        image = _probe(*_centred(geometry, width, height))
        try:
            expected = processor(images=image, return_tensors="pt")["pixel_values"]
        except Exception:  # a processor that wants more than an image has another geometry as well
            return False
        across, down = geometry.extent(*image.size)
        fitted = torch.from_numpy(np.asarray(fit_image(image, geometry)).transpose(2, 0, 1).copy())
        seen = tower(fitted[None])[:, :, :down, :across]
        if not isinstance(expected, torch.Tensor) or expected.shape != seen.shape:
            return False
        if not torch.allclose(seen, expected, rtol=1e-6, atol=tolerance):
            return False
    return True


def _centred(geometry: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Widen a probe until its crop lies in the middle exactly.

    With an odd remainder the benchmark rounds as torchvision does and a processor always down: one px apart.
    """
    if geometry.fit != "crop":
        return width, height
    shorter = int(geometry.size / geometry.crop_fraction)
    for more in range(40):
        sides = (width + more, height) if width >= height else (width, height + more)
        if (int(shorter * max(sides) / min(sides)) - geometry.size) % 2 == 0:
            return sides
    return width, height


def _probe(width: int, height: int) -> Any:
    """Draw a smooth image, different in every place."""
    from PIL import Image

    across = np.linspace(0, 3, width)[None, :, None]
    down = np.linspace(0, 2, height)[:, None, None]
    waves = np.sin(across + np.array([0.0, 1.0, 2.0])) * np.cos(down * np.array([1.0, 0.5, 1.5]))
    return Image.fromarray(np.uint8(np.round(127.5 + 120 * waves)))


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
