"""Model soups: the mean of the weights of several validations (Wortsman et al. 2022, arXiv 2203.05482).

The best validations of one training are averaged, and their mean counts where it validates no worse than the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

ScoredWeights = tuple[float, int, dict[str, Tensor]]
"""The score of a validation, its step, and the weights then."""


@dataclass
class WeightSoup:
    """The `size` best validations so far, best first; of equal ones the earlier."""

    size: int
    kept: list[ScoredWeights] = field(default_factory=list)

    def add(self, scored: ScoredWeights) -> None:
        """Take in a validation, where it is among the best."""
        if self.size > 1:
            self.kept = sorted([*self.kept, scored], key=lambda each: (-each[0], each[1]))[: self.size]

    def mean(self) -> Mapping[str, Tensor] | None:
        """The mean of all that are kept; None for fewer than two. Counters and the like are those of the best."""
        if len(self.kept) < 2:
            return None
        states = [state for _, _, state in self.kept]
        return {
            name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
            for name, tensor in states[0].items()
        }
