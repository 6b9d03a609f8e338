"""What an attack has found: the worst images so far, of each sample by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Found:
    """Worst pixels `[n, 3, S, S]` and their losses `[n]`; `trace` holds the losses after each try.

    `before` are the losses that it began with.
    """

    pixels: Tensor
    losses: Tensor
    trace: list[Tensor] = field(default_factory=list)
    before: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.losses

    def offer(self, pixels: Tensor, losses: Tensor) -> Tensor:
        """Keep what is worse than before; returns which samples that was, bool `[n]`."""
        better = (losses > self.losses) | (self.losses.isnan() & ~losses.isnan())
        self.pixels = torch.where(better.view(-1, 1, 1, 1), pixels, self.pixels)
        self.losses = torch.where(better, losses, self.losses)
        self.trace.append(self.losses)
        return better
