"""What moves the weights of a training: AdamW over three groups, warm-up and cosine, the pull to pretrained weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.cell import TrainOptions
from harness.protocols import Learner

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pull:
    """The decoupled pull `w <- w - lr * strength * (w - w0)` (L2-SP, Li et al. 2018, arXiv 1802.01483)."""

    strength: float
    parameters: tuple[tuple[Tensor, Tensor], ...]

    def apply(self, learning_rate: float) -> None:
        """Move each weight toward its pretrained value."""
        for weight, origin in self.parameters:
            weight.lerp_(origin, learning_rate * self.strength)


def warmup_cosine(step: int, options: TrainOptions) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to zero (SGDR, arXiv 1608.03983)."""
    warmup = max(1, round(options.warmup_fraction * options.steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, options.steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def build_optimizer(learner: Learner, options: TrainOptions) -> torch.optim.AdamW:
    """AdamW over the three groups; weight decay spares norms, biases and weights that are pulled."""
    groups = learner.parameter_groups()
    rates = {
        "language": (groups.language, options.language_learning_rate, options.beta),
        "vision": (groups.vision, options.vision_learning_rate, options.gamma),
        "new": (groups.new, options.learning_rate, options.pull),
    }
    parameter_groups = []
    for name, (named, rate, pull) in rates.items():
        matrices = [parameter for _, parameter in named if parameter.ndim > 1]
        vectors = [parameter for _, parameter in named if parameter.ndim <= 1]
        decay = 0.0 if pull else options.weight_decay
        if matrices:
            parameter_groups.append({"name": name, "params": matrices, "lr": rate, "weight_decay": decay})
        if vectors:
            parameter_groups.append({"name": f"{name}-vectors", "params": vectors, "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW(parameter_groups, betas=(0.9, 0.98))


def build_pulls(learner: Learner, options: TrainOptions) -> dict[str, Pull]:
    """Remember the values at the start of matrices and embeddings (norms and biases are left free)."""
    groups = learner.parameter_groups()
    strengths = {
        "language": (groups.language, options.beta),
        "vision": (groups.vision, options.gamma),
        "new": (groups.new, options.pull),
    }
    return {
        name: Pull(strength, tuple((p, p.detach().clone()) for _, p in named if p.ndim > 1))
        for name, (named, strength) in strengths.items()
        if strength > 0
    }
