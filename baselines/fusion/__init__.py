"""Fusion operators: how visual tokens enter a language model, or meet texts. One file each, found here by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape
    from baselines.fusion.feature_fusion import FeatureFusion, FeatureFusionShape

OPERATORS: Final = {
    "cross-attention": "baselines.fusion.cross_attention:CrossAttentionDecoderFusion",
    "gated-cross-attention": "baselines.fusion.gated_cross_attention:GatedCrossAttentionDecoderFusion",
    "prefix": "baselines.fusion.prefix:PrefixDecoderFusion",
    "concat": "baselines.fusion.concat:ConcatDecoderFusion",
    "q-former": "baselines.fusion.q_former:QFormerDecoderFusion",
}
"""Where the side of each operator that feeds a language model is, imported only when asked for."""

FEATURE_FUSIONS: Final = {
    "concat": "baselines.fusion.concat:ConcatFeatureFusion",
    "gated": "baselines.fusion.gated:GatedFeatureFusion",
    "bilinear": "baselines.fusion.bilinear:BilinearFeatureFusion",
    "film": "baselines.fusion.film:FilmFeatureFusion",
    "cross-attention": "baselines.fusion.cross_attention:CrossAttentionFeatureFusion",
    "gated-cross-attention": "baselines.fusion.gated_cross_attention:GatedCrossAttentionFeatureFusion",
    "q-former": "baselines.fusion.q_former:QFormerFeatureFusion",
}
"""Where the side of each operator that joins an image with texts is."""


def build_decoder_fusion(name: str, shape: DecoderFusionShape) -> DecoderFusion:
    """Build an operator by name."""
    fusion: DecoderFusion = _load(OPERATORS[name])(shape)
    return fusion


def build_feature_fusion(name: str, shape: FeatureFusionShape) -> FeatureFusion:
    """Build a join by name."""
    fusion: FeatureFusion = _load(FEATURE_FUSIONS[name])(shape)
    return fusion


def reads_each_class(name: str | None) -> bool:
    """Tell whether a join reads one vector a text, and so can read each class by itself."""
    return name is not None and bool(_load(FEATURE_FUSIONS[name]).reads_pooled)


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
