"""Prefix mapping: one pooled visual feature becomes k embeddings before the caption.

ClipCap's MLP variant (Mokady et al. 2021, arXiv 2111.09734), with k = 10.
"""

from __future__ import annotations

from torch import Tensor, nn

from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.operator import FusionOperator
from baselines.fusion.prefix_scale import PrefixScale


class PrefixDecoderFusion(DecoderFusion):
    """Mean of the visual tokens -> MLP -> `model.prefix_length` embeddings."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.prefix_length = shape.settings["prefix_length"]
        inner = self.prefix_length * shape.language_width // 2  # ClipCap's hidden width
        self.mapping = nn.Sequential(
            nn.LayerNorm(shape.visual_width),
            nn.Linear(shape.visual_width, inner),
            nn.Tanh(),
            nn.Dropout(shape.dropout),
            nn.Linear(inner, self.prefix_length * shape.language_width),
        )
        self.scale = PrefixScale(shape.language_width)

    def forward(self, visual: Tensor) -> Fused:
        """Return the prefix `[B, k, language_width]`."""
        mapped = self.mapping(visual.mean(dim=1))
        return Fused(prefix=self.scale(mapped.unflatten(-1, (self.prefix_length, -1))))


prefix = FusionOperator(
    "prefix",
    "image mapped to a prefix of embeddings (ClipCap 2021)",
    decoder="baselines.fusion.prefix:PrefixDecoderFusion",
    settings={"prefix_length": 10},
)
