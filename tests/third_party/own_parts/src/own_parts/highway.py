"""Highway fusion: a gate decides, channel by channel, how much of what the text says an image lets in.

The layer of Srivastava et al. 2015 (arXiv 1505.00387) with the text as its input; what writes gets one embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.language.text_tokens import TextTokens


class HighwayFeatures(nn.Module):
    """v + g(v) * (W t - v), the gate g nearly closed at first (`model.carry`)."""

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.text = nn.Linear(shape.text_width, shape.width)
        self.gate = nn.Linear(shape.width, shape.width)
        nn.init.constant_(self.gate.bias, -float(shape.settings["carry"]))

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Let the text in."""
        said = self.text(text.pooled.unsqueeze(-2) if text.pooled.ndim == 2 else text.pooled)
        joined: Tensor = visual + torch.sigmoid(self.gate(visual)) * (said - visual)
        return joined


class HighwayDecoder(DecoderFusion):
    """The mean visual token as one embedding before the caption."""

    prefix_length = 1

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.LayerNorm(shape.visual_width), nn.Linear(shape.visual_width, shape.language_width)
        )

    def forward(self, visual: Tensor) -> Fused:
        """Return the prefix `[B, 1, language_width]`."""
        return Fused(prefix=self.projection(visual.mean(dim=1, keepdim=True)))


highway = FusionOperator(
    "highway",
    "a gate lets the text into each channel (Highway 2015)",
    features="own_parts.highway:HighwayFeatures",
    decoder="own_parts.highway:HighwayDecoder",
    reads_pooled=True,
    settings={"carry": 1.0},
)
