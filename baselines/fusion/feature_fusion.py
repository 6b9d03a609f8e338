"""How visual tokens meet texts in models that answer with labels, boxes or label maps.

The operators of this package have two sides: feeding a language model that writes (`baselines.fusion.decoder_fusion`),
and joining an image with texts that are only read (here).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from baselines.language.text_tokens import TextTokens


@dataclass(frozen=True)
class FeatureFusionShape:
    """The sizes that an operator is built for: `layers` blocks of it, its own `settings` by name."""

    width: int
    text_width: int
    heads: int
    dropout: float
    layers: int
    settings: Mapping[str, Any]


class FeatureFusion(Protocol):
    """An `nn.Module` from visual tokens to as many that have read the texts, or to fewer where no places are kept."""

    def __call__(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Join tokens `[B, N, width]` with texts of B rows, or of one that all share; returns `[B, N, width]`.

        What reads pooled texts broadcasts: `[B, 1, N, width]` with pooled `[1, C, 1, text_width]` gives
        `[B, C, N, width]`.
        """
        ...
