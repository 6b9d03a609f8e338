"""A learner whose weights were shuffled: a map that survives this says nothing of what was learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def has_weights(learner: Any) -> bool:
    """Tell whether a learner has weights here that could be drawn anew."""
    return isinstance(learner, torch.nn.Module) and any(True for _ in learner.parameters())


@contextmanager
def shuffled_weights(learner: torch.nn.Module, seed: int, forget: Callable[[], None]) -> Iterator[None]:
    """Shuffle the entries of each weight tensor within a block, then put them back (Adebayo et al. 2018, 1810.03292).

    Entries keep their distribution, so that activations keep their size whatever the architecture. `forget` drops what
    the learner remembers of texts.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = [(weight, weight.detach().clone()) for weight in learner.parameters()]
    try:
        with torch.no_grad():
            for weight, before in kept:
                order = torch.randperm(before.numel(), generator=generator).to(before.device)
                weight.copy_(before.flatten()[order].view(before.shape))
        forget()
        yield
    finally:
        with torch.no_grad():
            for weight, before in kept:
                weight.copy_(before)
        forget()
