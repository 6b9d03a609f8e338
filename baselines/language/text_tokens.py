"""What a text source makes of texts, and what it offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class TextTokens:
    """Texts as a model reads them: states of their tokens and one vector for each text.

    `tokens` is float `[M, L, d]`, `mask` bool `[M, L]` (False where there is no token), `pooled` float `[M, d]`.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def to(self, device: torch.device) -> TextTokens:
        """Send them to a device that is not waited for."""
        tokens, mask, pooled = (part.to(device, non_blocking=True) for part in (self.tokens, self.mask, self.pooled))
        return TextTokens(tokens, mask, pooled)

    def as_memory(self) -> TextTokens:
        """Take the texts as the tokens of one: `[1, M, d]`, such as all class names read at once."""
        mask = torch.ones(1, len(self.pooled), dtype=torch.bool, device=self.pooled.device)
        return TextTokens(self.pooled[None], mask, self.pooled.mean(dim=0, keepdim=True))


class TextSource(Protocol):
    """An `nn.Module` from texts to tokens; `width` is the last dimension."""

    width: int

    def __call__(self, texts: Sequence[str]) -> TextTokens:
        """Encode texts, each independently of the others; the empty text is a text too."""
        ...


def stack_tokens(rows: Sequence[tuple[Tensor, Tensor]]) -> TextTokens:
    """Put texts of different lengths together: pairs of states `[L, d]` and pooled `[d]`.

    A text without tokens gets one of zeros: attention to nothing would not be a number.
    """
    longest = max(1, max(len(states) for states, _ in rows))
    first = rows[0][1]
    tokens = first.new_zeros(len(rows), longest, len(first))
    mask = torch.zeros(len(rows), longest, dtype=torch.bool, device=first.device)
    for row, (states, _) in enumerate(rows):
        tokens[row, : len(states)] = states
        mask[row, : len(states)] = True
    mask[:, 0] = True
    return TextTokens(tokens, mask, torch.stack([pooled for _, pooled in rows]))
