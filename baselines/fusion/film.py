"""FiLM: the text scales and shifts each channel of the image (Perez et al. 2018, arXiv 1709.07871).

The residual block of the paper without its convolution: mixing between places is left to the layer that follows the
join in every model here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.language.text_tokens import TextTokens


class FilmBlock(nn.Module):
    """x + relu((1 + gamma(t)) * norm(W x) + beta(t))."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.inner = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, elementwise_affine=False)
        self.modulation = nn.Linear(shape.text_width, 2 * shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, visual: Tensor, pooled: Tensor) -> Tensor:
        """Return `[..., N, width]` for a text `[..., 1, text_width]`."""
        gamma, beta = self.modulation(pooled).chunk(2, dim=-1)
        read: Tensor = self.dropout(torch.relu((1 + gamma) * self.norm(self.inner(visual)) + beta))
        return visual + read


class FilmFeatureFusion(nn.Module):
    """`model.join_layers` blocks, each with its own scales and shifts."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.text_width)
        self.blocks = nn.ModuleList(FilmBlock(shape) for _ in range(shape.layers))

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Modulate."""
        pooled = self.norm(text.pooled).unsqueeze(-2) if text.pooled.ndim == 2 else self.norm(text.pooled)
        for block in self.blocks:
            visual = block(visual, pooled)
        return visual


film = FusionOperator(
    "film",
    "text scales and shifts visual channels (FiLM 2018)",
    features="baselines.fusion.film:FilmFeatureFusion",
    reads_pooled=True,
)
