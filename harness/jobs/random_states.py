"""The states of the generators that a loss may draw from, so that a step that is made again draws the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomStates:
    """What was read of torch's generators, on the CPU and on CUDA devices in use, and of a training's own."""

    cpu: Tensor
    own: Tensor
    cuda: tuple[Tensor, ...]

    def restore(self, generator: torch.Generator) -> None:
        """Put all generators back to where they stood."""
        torch.set_rng_state(self.cpu)
        generator.set_state(self.own)
        for index, state in enumerate(self.cuda):
            torch.cuda.set_rng_state(state, index)


def random_states(generator: torch.Generator) -> RandomStates:
    """Read where generators stand; CUDA's only where this process uses it, since reading would start it."""
    cuda = tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()
    return RandomStates(torch.get_rng_state(), generator.get_state(), cuda)
