"""Gated multimodal unit: a gate decides, channel by channel, between what the image and what the text says.

Arevalo et al. 2017 (arXiv 1702.01992).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.language.text_tokens import TextTokens


class GatedFeatureFusion(nn.Module):
    """z * tanh(W v) + (1 - z) * tanh(U t), z = sigmoid(G [v; t])."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.text_width)
        self.visual = nn.Linear(shape.width, shape.width)
        self.text = nn.Linear(shape.text_width, shape.width)
        self.visual_gate = nn.Linear(shape.width, shape.width)
        self.text_gate = nn.Linear(shape.text_width, shape.width, bias=False)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Mix."""
        pooled = text.pooled.unsqueeze(-2) if text.pooled.ndim == 2 else text.pooled
        pooled = self.norm(pooled)
        gate = torch.sigmoid(self.visual_gate(visual) + self.text_gate(pooled))  # = G [v; t]
        mixed: Tensor = gate * torch.tanh(self.visual(visual)) + (1 - gate) * torch.tanh(self.text(pooled))
        return self.dropout(mixed)  # type: ignore[no-any-return]


gated = FusionOperator(
    "gated",
    "gate between image and text at each channel (GMU 2017)",
    features="baselines.fusion.gated:GatedFeatureFusion",
    reads_pooled=True,
)
