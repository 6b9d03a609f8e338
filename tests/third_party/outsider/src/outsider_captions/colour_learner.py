"""The learner of `nearest-colour`: a tower that averages, and a bank of colours that is filled in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from harness.protocols import ParameterGroups
from harness.sample import Batch, Preprocessing


class MeanColour(nn.Module):
    """Pixels to one token of three numbers."""

    key = "mean-colour-1"
    preprocessing = Preprocessing(8, fit="squash")
    width = 3

    def forward(self, pixels: Tensor) -> Tensor:
        """Average uint8 `[B, 3, 8, 8]` to float `[B, 1, 3]` in 0..1."""
        return pixels.float().mean(dim=(2, 3)).unsqueeze(1) / 255


class ColourNeighbour(nn.Module):
    """Answers with the caption beside the nearest colour."""

    def __init__(self, captions: Sequence[str], fault: str = "") -> None:
        super().__init__()
        self.fault = fault
        self.vision = MeanColour()
        self.vision_frozen = True
        self.captions = list(captions)
        self.register_buffer("bank", torch.zeros(len(captions), 3))

    def fit(self, batches: Iterable[Batch]) -> None:
        """Remember every training colour."""
        tokens = [batch.visual[:, 0] for batch in batches if batch.visual is not None]
        self.bank.copy_(torch.cat(tokens))

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """There is none: the learner is fitted."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> list[Any]:
        """Look the nearest colour up."""
        assert batch.visual is not None
        if self.fault == "no-text":
            return [None] * len(batch)
        nearest = torch.cdist(batch.visual[:, 0], self.bank).argmin(dim=1)
        return [self.captions[index] for index in nearest.tolist()]

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained by gradient."""
        return ParameterGroups(language=(), vision=(), new=())
