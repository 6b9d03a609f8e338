"""Brings a prefix to the scale of a language model's own embeddings."""

from __future__ import annotations

from torch import Tensor, nn

_INITIAL_SCALE = 0.1
"""Of the order of pretrained word embeddings' entries; learned from there."""


class PrefixScale(nn.Module):
    """Layer norm whose gain starts small: embeddings far larger than words drown them out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        nn.init.constant_(self.norm.weight, _INITIAL_SCALE)

    def forward(self, prefix: Tensor) -> Tensor:
        """Return `[B, P, width]`."""
        scaled: Tensor = self.norm(prefix)
        return scaled
