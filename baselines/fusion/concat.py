"""Concatenation: every visual token is projected to an embedding and put before the caption.

The linear projector of LLaVA (Liu et al. 2023, arXiv 2304.08485); Frozen (Tsimpoukelli et al. 2021,
arXiv 2106.13884) did it with two tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.fusion.prefix_scale import PrefixScale
from baselines.fusion.visual_input import VisualInput
from baselines.language.text_tokens import TextTokens


class ConcatDecoderFusion(DecoderFusion):
    """One linear layer for all tokens."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.prefix_length = shape.visual_tokens
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.projection = nn.Linear(shape.visual_width, shape.language_width)
        self.scale = PrefixScale(shape.language_width)

    def forward(self, visual: Tensor) -> Fused:
        """Return the prefix `[B, N, language_width]`."""
        return Fused(prefix=self.scale(self.projection(self.input(visual))))


class ConcatFeatureFusion(nn.Module):
    """MLP([v; t]) at each place.

    The first layer's product with [v; t] is computed as the sum of its products with v and with t: where every place
    is joined with every class, each of them is then multiplied once.
    """

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.text_width)
        self.visual = nn.Linear(shape.width, 2 * shape.width)
        self.text = nn.Linear(shape.text_width, 2 * shape.width, bias=False)
        self.output = nn.Sequential(nn.GELU(), nn.Dropout(shape.dropout), nn.Linear(2 * shape.width, shape.width))

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Put the text beside each token."""
        pooled = self.norm(text.pooled.unsqueeze(-2) if text.pooled.ndim == 2 else text.pooled)
        return self.output(self.visual(visual) + self.text(pooled))  # type: ignore[no-any-return]


concat = FusionOperator(
    "concat",
    "every visual token before the caption (LLaVA 2023); text beside each token",
    features="baselines.fusion.concat:ConcatFeatureFusion",
    decoder="baselines.fusion.concat:ConcatDecoderFusion",
    reads_pooled=True,
)
