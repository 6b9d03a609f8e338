"""An image corruption: a change of pixels with a severity, and how its result becomes 8-bit pixels again.

The names, the parameters and the look are those of ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261) in the
form for any image size of `imagecorruptions` 1.1.2 (Michaelis et al. 2019, arXiv 1907.07484). Lengths are in pixels
of the image as it comes in, and were chosen for images of 224 px. Sides down to 1 px have a defined result: what
reaches beyond an image is taken from its padded border, what cannot be moved inside it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import DataError, UsageError
from harness.perturb.perturbation import IMAGE

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""An image `[H, W, 3]`, RGB 0..255."""
Numbers: TypeAlias = npt.NDArray[np.integer[Any] | np.floating[Any]]
"""Of any shape, floating point where it is written to."""
PixelChange: TypeAlias = Callable[[Pixels, int, np.random.Generator], Pixels]
"""Makes a new image of the same shape for a severity from 1 up; all randomness comes from the generator."""

_HAIR: Final = 1 / 1024


@dataclass(frozen=True)
class Corruption:
    """A change of pixels that has a name; satisfies `ImagePerturbation`."""

    name: str
    summary: str
    family: str
    change: PixelChange
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 1
    modality: str = IMAGE
    made_for_px: int = 224
    """The shorter side of the images that its strengths were published for."""

    def apply(self, pixels: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
        """Return a new image `[H, W, 3]`, RGB 0..255; raises UsageError for a severity, DataError for an image."""
        if severity not in self.severities:
            raise UsageError(
                f"{self.name} has no severity {severity}. Take {self.severities[0]} to {self.severities[-1]}."
            )
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise DataError(
                f"{self.name} got an image of {pixels.dtype} {list(pixels.shape)}; wanted uint8 [H, W, 3], not empty. "
                "Convert it to RGB first."
            )
        return self.change(np.ascontiguousarray(pixels), severity, rng)


def to_pixels(values: Numbers) -> Pixels:
    """Clip to 0..255 and cut off what is behind the point, as published; `values` is written to.

    A hair is added first, so that a flat region whose sums fall short by a rounding error keeps its level.
    """
    np.add(values, _HAIR, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def to_floats(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Copy an image to float32, still 0..255."""
    return pixels.astype(np.float32)
