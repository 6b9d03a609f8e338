"""Concatenation: every visual token is projected to an embedding and put before the caption.

The linear projector of LLaVA (Liu et al. 2023, arXiv 2304.08485); Frozen (Tsimpoukelli et al. 2021,
arXiv 2106.13884) did it with two tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from baselines.fusion.operator import Fused, Fusion, FusionShape
from baselines.fusion.prefix_scale import PrefixScale
from baselines.fusion.visual_input import VisualInput


class ConcatFusion(Fusion):
    """One linear layer for all tokens."""

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.prefix_length = shape.visual_tokens
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.projection = nn.Linear(shape.visual_width, shape.language_width)
        self.scale = PrefixScale(shape.language_width)

    def forward(self, visual: Tensor) -> Fused:
        """Return the prefix `[B, N, language_width]`."""
        return Fused(prefix=self.scale(self.projection(self.input(visual))))
