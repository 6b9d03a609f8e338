"""Visual tokens made ready for a fusion operator: normalised, and told where they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VisualInput(nn.Module):
    """Layer norm and a learned embedding of the position of each token `[B, N, width]`.

    Features of a convolutional network hardly say where in the image they are, yet captions do
    ("left of"); position embeddings of 0 at first change nothing for towers that have their own.
    """

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.zeros(tokens, width))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, visual: Tensor) -> Tensor:
        """Return `[B, N, width]`."""
        ready: Tensor = self.norm(visual) + self.position
        return ready
