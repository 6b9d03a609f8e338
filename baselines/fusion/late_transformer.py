"""Late fusion by a transformer layer: the tokens of image and text in one sequence that attends to itself.

The single-stream layer of VisualBERT (Li et al. 2019, arXiv 1908.03557) on top of two finished encoders. With one layer
(`model.late_layers`) only the image's tokens are read afterwards, so that only these ask; text tokens answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.cross_attention import CrossAttention, feed_forward
from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.language.text_tokens import TextTokens


class JointLayer(nn.Module):
    """One transformer block, normalised first, whose queries are some of the tokens and whose memory is all of them."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.attention = CrossAttention(shape.width, shape.width, shape.heads, shape.dropout)
        self.feed_forward = feed_forward(shape.width, shape.dropout)

    def forward(self, asking: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, Q, width] asking, [B, N, width] tokens, bool mask [B, N] -> [B, Q, width]."""
        asking = asking + self.attention(asking, self.attention.memory(self.norm(tokens)), mask)
        joined: Tensor = asking + self.feed_forward(asking)
        return joined


class LateTransformerFeatureFusion(nn.Module):
    """Both kinds of tokens at one width, each marked by its kind, through `model.late_layers` joint layers."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.text = nn.Sequential(nn.LayerNorm(shape.text_width), nn.Linear(shape.text_width, shape.width))
        self.kinds = nn.Parameter(torch.randn(2, shape.width) * 0.02)
        self.layers = nn.ModuleList(JointLayer(shape) for _ in range(max(1, int(shape.settings["late_layers"]))))

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Join; what comes out are the image's tokens."""
        batch, places, _ = visual.shape
        told = (self.text(text.tokens) + self.kinds[1]).expand(batch, -1, -1)
        tokens = torch.cat([visual + self.kinds[0], told], dim=1)
        seen = torch.ones(batch, places, dtype=torch.bool, device=visual.device)
        mask = torch.cat([seen, text.mask.expand(batch, -1)], dim=1)
        *all_but_last, last = self.layers
        for layer in all_but_last:
            tokens = layer(tokens, tokens, mask)
        answered: Tensor = last(tokens[:, :places], tokens, mask)
        return answered


late_transformer = FusionOperator(
    "late-transformer",
    "one transformer layer over the tokens of image and text (VisualBERT 2019)",
    features="baselines.fusion.late_transformer:LateTransformerFeatureFusion",
    settings={"late_layers": 1},
)
