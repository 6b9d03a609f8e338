"""What all models taken whole have in common: nothing is trained, every weight stays as it was read."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn

from baselines.pretrained.processor_tower import ProcessorTower
from harness.errors import UsageError
from harness.protocols import ParameterGroups
from harness.sample import Batch


class FrozenLearner(nn.Module):
    """A learner that is evaluated only; subclasses add `predict`.

    Its tower gives normalised pixels `[B, 3, S, S]` in fp32; the network itself runs in `predict`, in the number format
    of its weights.
    """

    vision_frozen = False
    vision: ProcessorTower

    def __init__(self, model: nn.Module, vision: ProcessorTower | None) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.vision = vision  # type: ignore[assignment]  # None for one that takes images as they are
        self._dtype = _dtype_of(model)

    def to(self, *arguments: Any, **keywords: Any) -> Self:
        """Move; a network that was placed when it was loaded, on several devices or quantised, stays where it is."""
        if getattr(self.model, "hf_device_map", None) is None:
            return super().to(*arguments, **keywords)
        for name, part in self.named_children():
            if name != "model":
                part.to(*arguments, **keywords)
        return self

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
        """Say where inputs belong: with the weights, or with the first of them where these are spread."""
        return str(next(self.vision.buffers()).device)

    def inputs(self, values: Tensor) -> Tensor:
        """Move values to where the network takes them, real numbers in its number format."""
        dtype = self._dtype if values.is_floating_point() else values.dtype
        return values.to(self.device(), dtype, non_blocking=True)


def in_fp32(outputs: Any) -> Any:
    """Make the real numbers of a network's output fp32, as post-processing wants them; in place."""
    for name, value in outputs.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            outputs[name] = value.float()
    return outputs


def _dtype_of(model: nn.Module) -> torch.dtype:
    """The number format of most weights: some networks keep a few in another."""
    counts: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            counts[parameter.dtype] += parameter.numel()
    return counts.most_common(1)[0][0] if counts else torch.float32
