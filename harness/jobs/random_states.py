"""The states of the generators that a loss may draw from, so that what is made again draws the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomStates:
    """What was read of torch's generators, on the CPU and on CUDA devices in use, and of a training's own.

    `libraries` are the states of Python's and NumPy's global generators, where these were read.
    """

    cpu: Tensor
    own: Tensor
    cuda: tuple[Tensor, ...] = ()
    libraries: tuple[Any, ...] = ()

    def restore(self, generator: torch.Generator) -> None:
        """Put all generators back to where they stood; CUDA's on as many devices as there are now."""
        torch.set_rng_state(self.cpu)
        generator.set_state(self.own)
        for index, state in enumerate(self.cuda[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, index)
        if self.libraries:
            python, numpy = self.libraries
            random.setstate(python)
            np.random.set_state(numpy)


def random_states(generator: torch.Generator) -> RandomStates:
    """Read where torch's generators stand; CUDA's only where this process uses it, since reading would start it."""
    cuda = tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()
    return RandomStates(torch.get_rng_state(), generator.get_state(), cuda)


def library_states() -> tuple[Any, ...]:
    """Read where Python's and NumPy's global generators stand: 0.1 ms, which is too much for each step."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), (name, [int(key) for key in keys], *rest)
