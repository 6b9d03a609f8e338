"""A detector as a session of another runtime gives it: NumPy in, NumPy out, no parameter of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Generator, Tensor, nn

from harness.plan.taken_whole import StatedCosts
from harness.protocols import ParameterGroups
from harness.sample import Batch, Preprocessing, TaskSpec

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40)}
"""What it was trained on: an object of each colour, called so."""
SIDE_PX, GUESSES = 64, 240


class Session:
    """Stands for `onnxruntime.InferenceSession`."""

    def run(self, pixels: npt.NDArray[np.uint8]) -> list[list[tuple[int, float, float, float, float, float]]]:
        """Find the extent of each colour in `[B, 3, 64, 64]`, then guess: label, score, x, y, width, height in px."""
        return [self._found(image.astype(int)) + self._guesses() for image in pixels]

    def _found(self, image: npt.NDArray[Any]) -> list[tuple[int, float, float, float, float, float]]:
        boxes = []
        for label, colour in enumerate(COLOURS.values()):
            rows, columns = np.nonzero(np.abs(image - np.array(colour)[:, None, None]).max(axis=0) < 40)
            if len(rows):
                x, y = int(columns.min()), int(rows.min())
                width, height = int(columns.max()) + 1 - x, int(rows.max()) + 1 - y
                boxes.append((label, 0.9, float(x), float(y), float(width), float(height)))
        return boxes

    def _guesses(self) -> list[tuple[int, float, float, float, float, float]]:
        return [(number % 2, 0.01, float(number % 60), 0.0, 2.0, 2.0) for number in range(GUESSES)]


class PlainPixels(nn.Module):
    """Hands pixels on as they are: the session takes them itself."""

    key = "plain-pixels-64"
    preprocessing = Preprocessing(SIDE_PX, fit="squash")
    width = 3

    def forward(self, pixels: Tensor) -> Tensor:
        """Lay uint8 `[B, 3, S, S]` out as float `[B, S * S, 3]`."""
        return pixels.float().flatten(2).transpose(1, 2)


class SessionDetector(nn.Module):
    """Boxes of the session for the classes of the data, found by name."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        self.vision = PlainPixels()
        self.vision_frozen = False
        self._session = Session()
        self._classes = [spec.classes.names.index(name) for name in COLOURS]

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """It cannot be trained."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> list[Any]:
        """Give `[class, score, x, y, width, height]` in fractions of the image."""
        assert batch.visual is not None
        shape = (len(batch), 3, SIDE_PX, SIDE_PX)
        pixels = batch.visual.transpose(1, 2).reshape(shape).cpu().numpy().astype(np.uint8)
        return [
            [[self._classes[label], score, *(value / SIDE_PX for value in box)] for label, score, *box in found]
            for found in self._session.run(pixels)
        ]

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained."""
        return ParameterGroups((), (), ())


class StatedDetector(SessionDetector):
    """States what its file says of itself."""

    def stated_costs(self) -> StatedCosts:
        """Parameters and FLOPs of one image."""
        return StatedCosts(parameters=250_000, flops=40_000_000)
