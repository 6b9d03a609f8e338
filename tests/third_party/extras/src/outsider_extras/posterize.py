"""Posterising: fewer levels a channel, a family of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Posterize:
    """Keeps the first bits of each channel: 4 at severity 1, 1 at severity 4."""

    name: str = "posterize"
    summary: str = "fewer levels a channel"
    family: str = "print"
    modality: str = "image"
    severities: tuple[int, ...] = (1, 2, 3, 4)
    version: int = 1

    def apply(self, pixels: npt.NDArray[np.uint8], severity: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Clear the last bits of uint8 `[H, W, 3]`."""
        return pixels & np.uint8(256 - 2 ** (3 + severity))


POSTERIZE = Posterize()
