"""A learner of two classes, and jobs that train it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.protocols import ParameterGroups
from harness.sample import Batch


class Chooser(nn.Module):
    """Tells two classes apart by texts that are numbers; it sees no images."""

    loss_is_mean_over_samples = True

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.vision, self.vision_frozen = None, True
        self.new = nn.Linear(1, 2)

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.new(torch.tensor([[float(text or 0)] for text in batch.texts]))
        return found

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(self(batch), torch.tensor([target.label for target in batch.targets or ()]))

    def predict(self, batch: Batch) -> list[list[float]]:
        found: list[list[float]] = self(batch).softmax(dim=1).tolist()
        return found

    def parameter_groups(self) -> ParameterGroups:
        return ParameterGroups(language=(), vision=(), new=list(self.new.named_parameters()))


@pytest.fixture
def chooser() -> type[Any]:
    """The smallest learner of classes."""
    return Chooser
