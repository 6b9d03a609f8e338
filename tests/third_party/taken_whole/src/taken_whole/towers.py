"""Towers with batch norm and dropout that were trained elsewhere, as an author writes them: no thought of modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from harness.answers import encode_label_map
from harness.protocols import ParameterGroups
from harness.sample import Batch, Preprocessing, TaskSpec
from harness.storage.content import file_digest


class Tower(nn.Module):
    """One convolution of 1 x 1, batch norm and dropout: a score of each class for each pixel."""

    def __init__(self, classes: int, side_px: int, digest: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, classes, 1)
        self.norm = nn.BatchNorm2d(classes)
        self.dropout = nn.Dropout(0.5)
        self.preprocessing = Preprocessing(side_px, fit="squash")
        self.width, self.key = classes, f"taken-whole-{digest}-{side_px}"

    def forward(self, pixels: Tensor) -> Tensor:
        """Score uint8 `[B, 3, S, S]` as float `[B, S * S, classes]`."""
        maps: Tensor = self.dropout(self.norm(self.convolution(pixels.float() / 255)))
        return maps.flatten(2).transpose(1, 2)


def load_tower(path: Path, side_px: int) -> Tower:
    """Load a checkpoint of `Tower` for images of a side."""
    state = load_file(path)
    tower = Tower(len(state["convolution.bias"]), side_px, file_digest(path))
    tower.load_state_dict(state)
    return tower


class _Head(nn.Module):
    side_px: ClassVar[int]

    def __init__(self, tower: Tower, spec: TaskSpec) -> None:
        super().__init__()
        assert tower.width == len(spec.classes), f"{tower.width} outputs for {len(spec.classes)} classes"
        self.vision = tower
        self.vision_frozen = True
        self.dropout = nn.Dropout(0.5)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """It cannot be trained."""
        raise NotImplementedError

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained."""
        return ParameterGroups((), (), ())


class MapHead(_Head):
    """The best class of each pixel."""

    side_px = 16

    def predict(self, batch: Batch) -> list[Any]:
        """Give a label map for each image."""
        assert batch.visual is not None
        best = self.dropout(batch.visual).argmax(dim=2).reshape(len(batch), self.side_px, self.side_px)
        return [encode_label_map(labels.cpu().numpy().astype(np.uint16)) for labels in best]


class LabelHead(_Head):
    """Probabilities of the mean over pixels."""

    side_px = 32

    def predict(self, batch: Batch) -> list[Any]:
        """Give probabilities for each image."""
        assert batch.visual is not None
        answers: list[Any] = torch.softmax(self.dropout(batch.visual.mean(dim=1)), dim=1).tolist()
        return answers
