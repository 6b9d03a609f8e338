"""Low-rank bilinear pooling: every product of a visual and a textual channel, through a narrow waist.

MLB (Kim et al. 2017, arXiv 1610.04325), with the shortcut of MRN (Kim et al. 2016, arXiv 1606.01455).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.language.text_tokens import TextTokens


class BilinearFeatureFusion(nn.Module):
    """v + P (tanh(U v) * tanh(V t))."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.text_width)
        self.visual = nn.Linear(shape.width, shape.width)
        self.text = nn.Linear(shape.text_width, shape.width)
        self.projection = nn.Linear(shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Multiply."""
        pooled = text.pooled.unsqueeze(-2) if text.pooled.ndim == 2 else text.pooled
        product = torch.tanh(self.visual(visual)) * torch.tanh(self.text(self.norm(pooled)))
        return visual + self.dropout(self.projection(product))  # type: ignore[no-any-return]


bilinear = FusionOperator(
    "bilinear",
    "low-rank products of image and text (MLB 2017)",
    features="baselines.fusion.bilinear:BilinearFeatureFusion",
    reads_pooled=True,
)
