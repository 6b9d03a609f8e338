"""Multi-label classification of attributes: mean of the visual tokens, one linear layer."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.parameter_groups import group_parameters
from baselines.vision import TimmTower
from harness.protocols import ParameterGroups
from harness.sample import Batch


class AttributeClassifier(nn.Module):
    """Trains its tower from scratch; targets are sequences of 0 and 1, answers are probabilities."""

    vision_frozen = False

    def __init__(self, vision: TimmTower, attributes: int) -> None:
        super().__init__()
        self.vision = vision
        self.head = nn.Linear(vision.width, attributes)

    def forward(self, visual: Tensor) -> Tensor:
        """Return logits `[B, attributes]` of tokens `[B, N, width]`."""
        logits: Tensor = self.head(visual.mean(dim=1))
        return logits

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean binary cross-entropy."""
        assert batch.visual is not None and batch.targets is not None
        targets = torch.tensor([list(target) for target in batch.targets], dtype=torch.float32)
        logits = self(batch.visual).float()
        return F.binary_cross_entropy_with_logits(logits, targets.to(logits.device))

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return each attribute's probability."""
        assert batch.visual is not None
        return cast("list[list[float]]", self(batch.visual).float().sigmoid().tolist())

    def parameter_groups(self) -> ParameterGroups:
        """Tower and head."""
        return group_parameters(self, ())
