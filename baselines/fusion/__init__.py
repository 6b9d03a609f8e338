"""Fusion operators: how visual tokens enter a language model, or meet texts. One file each, found here by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from baselines.fusion.join import Join, JoinShape
    from baselines.fusion.operator import Fusion, FusionShape

OPERATORS: Final = {
    "cross-attention": "baselines.fusion.cross_attention:CrossAttentionFusion",
    "gated-cross-attention": "baselines.fusion.gated_cross_attention:GatedCrossAttentionFusion",
    "prefix": "baselines.fusion.prefix:PrefixFusion",
    "concat": "baselines.fusion.concat:ConcatFusion",
    "q-former": "baselines.fusion.q_former:QFormerFusion",
}
"""Where the side of each operator that feeds a language model is, imported only when asked for."""

JOINS: Final = {
    "concat": "baselines.fusion.concat:ConcatJoin",
    "gated": "baselines.fusion.gated:GatedJoin",
    "bilinear": "baselines.fusion.bilinear:BilinearJoin",
    "film": "baselines.fusion.film:FilmJoin",
    "cross-attention": "baselines.fusion.cross_attention:CrossAttentionJoin",
    "gated-cross-attention": "baselines.fusion.gated_cross_attention:GatedCrossAttentionJoin",
    "q-former": "baselines.fusion.q_former:QFormerJoin",
}
"""Where the side of each operator that joins an image with texts is."""


def build_fusion(name: str, shape: FusionShape) -> Fusion:
    """Build an operator by name."""
    fusion: Fusion = _load(OPERATORS[name])(shape)
    return fusion


def build_join(name: str, shape: JoinShape) -> Join:
    """Build a join by name."""
    join: Join = _load(JOINS[name])(shape)
    return join


def reads_each_class(name: str | None) -> bool:
    """Tell whether a join reads one vector a text, and so can read each class by itself."""
    return name is not None and bool(_load(JOINS[name]).reads_pooled)


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
