"""What all models taken whole have in common: nothing is trained, every weight stays as it was read."""

from __future__ import annotations

from typing import Self

from torch import Generator, Tensor, nn

from baselines.pretrained.processor_tower import ProcessorTower
from harness.errors import UsageError
from harness.protocols import ParameterGroups
from harness.sample import Batch


class FrozenLearner(nn.Module):
    """A learner that is evaluated only; subclasses add `predict`.

    Its tower gives normalised pixels `[B, 3, S, S]`; the network itself runs in `predict`.
    """

    vision_frozen = False

    def __init__(self, model: nn.Module, vision: ProcessorTower) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.vision = vision

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: dropout would make answers random."""
        return super().train(False)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Refuse to be trained."""
        raise UsageError(
            "A pretrained model that is taken whole is evaluated as it is and cannot be trained here. "
            "To train one, compose it with --vision, --language and one of the models of `bench list models`."
        )

    def parameter_groups(self) -> ParameterGroups:
        """Name nothing: nothing is trained."""
        return ParameterGroups((), (), ())

    def device(self) -> str:
        """Say where the weights are."""
        return str(next(self.model.parameters()).device)
