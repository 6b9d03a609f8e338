"""Q-Former: learned queries read the visual tokens through a small transformer, then become a prefix.

BLIP-2 (Li et al. 2023, arXiv 2301.12597), from scratch and without its first stage of pretraining.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fusion.cross_attention import CrossAttention, feed_forward
from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.fusion.prefix_scale import PrefixScale
from baselines.fusion.visual_input import VisualInput
from baselines.language.text_tokens import TextTokens

_EXPANSION = 2


class QueryBlock(nn.Module):
    """Self-attention among the queries, cross-attention to the image, feed-forward."""

    def __init__(self, width: int, visual_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.among = CrossAttention(width, width, heads, dropout)
        self.across = CrossAttention(width, visual_width, heads, dropout)
        self.feed_forward = feed_forward(width, dropout, _EXPANSION)

    def forward(self, queries: Tensor, visual: Tensor) -> Tensor:
        """Return queries `[B, Q, width]` that have read visual tokens `[B, N, visual_width]`."""
        normalised = F.layer_norm(queries, queries.shape[-1:])
        queries = queries + self.among(queries, self.among.memory(normalised))
        queries = queries + self.across(queries, self.across.memory(visual))
        read: Tensor = queries + self.feed_forward(queries)
        return read


class QFormerDecoderFusion(DecoderFusion):
    """`model.queries` learned queries through `model.query_layers` blocks, projected to a prefix."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.prefix_length = shape.settings["queries"]
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.queries = nn.Parameter(torch.empty(self.prefix_length, shape.language_width))
        nn.init.normal_(self.queries, std=0.5)
        self.blocks = nn.ModuleList(
            QueryBlock(shape.language_width, shape.visual_width, shape.heads, shape.dropout)
            for _ in range(shape.settings["query_layers"])
        )
        self.projection = nn.Linear(shape.language_width, shape.language_width)
        self.scale = PrefixScale(shape.language_width)

    def forward(self, visual: Tensor) -> Fused:
        """Return the prefix `[B, Q, language_width]`."""
        tokens = self.input(visual)
        queries = self.queries.expand(len(visual), -1, -1)
        for block in self.blocks:
            queries = block(queries, tokens)
        return Fused(prefix=self.scale(self.projection(queries)))


class QFormerFeatureFusion(nn.Module):
    """Learned queries that see the text among themselves and read the image: instruction-aware, as in InstructBLIP.

    Dai et al. 2023 (arXiv 2305.06500). The queries stand for the image from there on, so nothing is left of places.
    """

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        layers = range(shape.settings["query_layers"])
        self.queries = nn.Parameter(torch.empty(shape.settings["queries"], shape.width))
        nn.init.normal_(self.queries, std=0.5)
        self.text = nn.Sequential(nn.LayerNorm(shape.text_width), nn.Linear(shape.text_width, shape.width))
        self.readers = nn.ModuleList(
            CrossAttention(shape.width, shape.width, shape.heads, shape.dropout) for _ in layers
        )
        self.blocks = nn.ModuleList(QueryBlock(shape.width, shape.width, shape.heads, shape.dropout) for _ in layers)

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Return the queries `[B, Q, width]`."""
        words = self.text(text.tokens)
        queries = self.queries.expand(len(visual), -1, -1)
        for reader, block in zip(self.readers, self.blocks, strict=True):
            queries = queries + reader(queries, cast("CrossAttention", reader).memory(words), text.mask)
            queries = block(queries, visual)
        return queries


q_former = FusionOperator(
    "q-former",
    "learned queries read the image (BLIP-2 2023); queries that know the text (InstructBLIP 2023)",
    features="baselines.fusion.q_former:QFormerFeatureFusion",
    decoder="baselines.fusion.q_former:QFormerDecoderFusion",
    keeps_places=False,
    settings={"queries": 16, "query_layers": 2},
)
