"""Logistic regression on CLIP's frozen image embeddings (Radford et al. 2021, arXiv 2103.00020): no language.

They take the features before the projection where there is one; here it is the projected embedding, which every
architecture has and which all adaptations share. A class without training images gets probability 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.clip.learner import ClipLearner
from baselines.clip.parts import ClipParts
from harness.sample import Classes


class LinearHead(nn.Module):
    """One weight vector a seen class, zero at first, on embeddings of length sqrt(d)."""

    def __init__(self, width: int, classes: Classes) -> None:
        super().__init__()
        seen = torch.tensor(classes.seen or (True,) * len(classes))
        self.classes = len(classes)
        self.register_buffer("seen", seen.nonzero().flatten(), persistent=False)
        self.linear = nn.Linear(width, int(seen.sum()))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits `[B, C]`, minus infinity for classes without training images."""
        features = F.normalize(embeddings, dim=-1) * math.sqrt(embeddings.shape[1])
        known: Tensor = self.linear(features)
        logits = known.new_full((len(known), self.classes), -torch.inf)
        logits[:, self.get_buffer("seen")] = known
        return logits


def build(parts: ClipParts) -> ClipLearner:
    """Build, for one class an image or for several (then one regression a class)."""
    return ClipLearner(parts.tower, LinearHead(parts.tower.width, parts.classes), parts.classes)
