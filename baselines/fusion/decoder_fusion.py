"""What a fusion operator offers, whatever language model it is put into.

An operator sees an image's visual tokens once (`forward`) and makes of them a prefix of embeddings,
or a memory that its layers read before some blocks, or both. It never touches the language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

Memory = tuple[tuple[Tensor, Tensor] | None, ...]
"""For each block of the language model the keys and values `[B, heads, N, d]` that its fusion layer reads."""


@dataclass(frozen=True)
class DecoderFusionShape:
    """The sizes that an operator is built for, and its own `settings` by name."""

    visual_width: int
    visual_tokens: int
    language_width: int
    blocks: int
    heads: int
    dropout: float
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Fused:
    """What an operator made of visual tokens; rows are samples (or their beams)."""

    prefix: Tensor | None = None
    memory: Memory = ()

    def select(self, rows: Tensor) -> Fused:
        """Keep these rows, in this order."""
        prefix = None if self.prefix is None else self.prefix.index_select(0, rows)
        memory = tuple(
            None if pair is None else (pair[0].index_select(0, rows), pair[1].index_select(0, rows))
            for pair in self.memory
        )
        return replace(self, prefix=prefix, memory=memory)


class DecoderFusion(nn.Module):
    """The base of all operators: a prefix of length `prefix_length`, and layers before some blocks."""

    prefix_length = 0

    def forward(self, visual: Tensor) -> Fused:
        """Take in visual tokens `[B, N, visual_width]`, once for each image."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: it must return a Fused of the visual tokens")

    def reads_before(self, block: int) -> bool:
        """Tell whether a layer of this operator stands before a block of the language model."""
        return False

    def read(self, block: int, hidden: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        """Add what the layer before `block` reads to the hidden states `[B, T, language_width]`."""
        raise NotImplementedError(f"{type(self).__name__} says that it reads before a block, and has no read")
