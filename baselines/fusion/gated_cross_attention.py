"""Gated cross-attention: at first the language model runs as if there were no image.

Flamingo (Alayrac et al. 2022, arXiv 2204.14198): attention and a feed-forward part before every n-th
block, each scaled by tanh of a gate that starts at 0. The Perceiver resampler is left out: the visual
tokens are few.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fusion.cross_attention import CrossAttention, CrossAttentionFeatureFusion, feed_forward
from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.operator import FusionOperator
from baselines.fusion.visual_input import VisualInput

_EXPANSION = 2
"""Inner width of the feed-forward part; Flamingo takes 4, at twice the cost."""


class GatedLayer(nn.Module):
    """Attention and feed-forward, each behind its own gate."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        width = shape.language_width
        self.attention = CrossAttention(width, shape.visual_width, shape.heads, shape.dropout)
        self.feed_forward = feed_forward(width, shape.dropout, _EXPANSION)
        self.attention_gate = nn.Parameter(torch.zeros(()))
        self.feed_forward_gate = nn.Parameter(torch.zeros(()))

    def forward(self, hidden: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        """Return hidden states `[B, T, width]` with what was read added."""
        hidden = hidden + self.attention_gate.tanh() * self.attention(hidden, memory)
        added: Tensor = hidden + self.feed_forward_gate.tanh() * self.feed_forward(hidden)
        return added


class GatedCrossAttentionDecoderFusion(DecoderFusion):
    """A gated layer before every n-th block (`model.every`)."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.blocks = shape.blocks
        self.layers = nn.ModuleDict(
            {str(block): GatedLayer(shape) for block in range(0, shape.blocks, shape.settings["every"])}
        )

    def forward(self, visual: Tensor) -> Fused:
        """Compute each layer's keys and values."""
        tokens = self.input(visual)
        return Fused(
            memory=tuple(
                self._layer(block).attention.memory(tokens) if self.reads_before(block) else None
                for block in range(self.blocks)
            )
        )

    def reads_before(self, block: int) -> bool:
        """Tell whether there is a layer before a block."""
        return str(block) in self.layers

    def read(self, block: int, hidden: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        """Run the gated layer."""
        return self._layer(block)(hidden, memory)  # type: ignore[no-any-return]

    def _layer(self, block: int) -> GatedLayer:
        layer = self.layers[str(block)]
        assert isinstance(layer, GatedLayer)
        return layer


class GatedCrossAttentionFeatureFusion(CrossAttentionFeatureFusion):
    """Cross-attention to the text behind gates: at first the model sees the image alone."""

    gated = True


gated_cross_attention = FusionOperator(
    "gated-cross-attention",
    "cross-attention behind gates that start at 0 (Flamingo 2022); every place reads the text",
    features="baselines.fusion.gated_cross_attention:GatedCrossAttentionFeatureFusion",
    decoder="baselines.fusion.gated_cross_attention:GatedCrossAttentionDecoderFusion",
    settings={"every": 1},
    decoder_only=("every",),
)
