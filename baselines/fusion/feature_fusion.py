"""How visual tokens meet texts in models that answer with labels, boxes or label maps.

The operators of this package have two sides: feeding a language model that writes (`baselines.fusion.decoder_fusion`),
and joining an image with texts that are only read (here). A join takes visual tokens and returns as many that have read
the texts; `q-former` alone returns its queries instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from baselines.language.text_tokens import TextTokens
from baselines.settings import Settings


@dataclass(frozen=True)
class FeatureFusionShape:
    """The sizes a join is built for."""

    width: int
    text_width: int
    heads: int
    dropout: float
    settings: Settings


class FeatureFusion(Protocol):
    """An `nn.Module`. With `reads_pooled` it takes one vector a text, so it can read each class by itself."""

    reads_pooled: bool
    keeps_places: bool
    """Whether token n of the result is still about place n of the image."""

    def __call__(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Join tokens `[B, N, width]` with texts of B rows, or of one that all share; returns `[B, N, width]`.

        Pooled joins broadcast: `[B, 1, N, width]` with pooled `[1, C, 1, text_width]` gives `[B, C, N, width]`.
        """
        ...
