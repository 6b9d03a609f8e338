"""Fusion operators: how visual tokens enter a language model. One file each, found here by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from baselines.fusion.operator import Fusion, FusionShape

OPERATORS: Final = {
    "cross-attention": "baselines.fusion.cross_attention:CrossAttentionFusion",
    "gated-cross-attention": "baselines.fusion.gated_cross_attention:GatedCrossAttentionFusion",
    "prefix": "baselines.fusion.prefix:PrefixFusion",
    "concat": "baselines.fusion.concat:ConcatFusion",
    "q-former": "baselines.fusion.q_former:QFormerFusion",
}
"""Where each operator's class is, imported only when asked for."""


def build_fusion(name: str, shape: FusionShape) -> Fusion:
    """Build an operator by name."""
    module, _, attribute = OPERATORS[name].partition(":")
    fusion: Fusion = getattr(import_module(module), attribute)(shape)
    return fusion
