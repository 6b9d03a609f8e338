"""What all pretrained captioners have in common: nothing is trained, every weight stays as it was read."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from baselines.pretrained.processor_tower import ProcessorTower
from harness.errors import UsageError
from harness.protocols import ParameterGroups
from harness.sample import Batch


class FrozenCaptioner(nn.Module):
    """A captioner that is evaluated only; subclasses add `predict`."""

    vision_frozen = False

    def __init__(self, model: nn.Module, vision: ProcessorTower) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.vision = vision

    def train(self, mode: bool = True) -> FrozenCaptioner:
        """Stay in evaluation mode: dropout would make answers random."""
        return super().train(False)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Refuse to be trained."""
        raise UsageError(
            "A pretrained captioner is evaluated as it is and cannot be trained here. "
            "To train one, compose it with --vision, --language and a fusion model such as prefix."
        )

    def parameter_groups(self) -> ParameterGroups:
        """Name nothing: nothing is trained."""
        return ParameterGroups((), (), ())

    def device(self) -> str:
        """Say where the weights are."""
        return str(next(self.model.parameters()).device)
