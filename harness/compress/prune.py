"""The smallest weights set to zero, and kept so in further training (Han et al. 2015, arXiv 1506.02626).

Zeros in a dense tensor cost what other numbers cost: neither time nor size gets less by this alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.compress.linear_layers import require_module
from harness.errors import NotCompressible, UsageError
from harness.files import replace_atomically
from harness.protocols import CompressionWork

_RECOVER = "recover="
RECOVERED = "recovered.safetensors"
"""What training on came to: the weights that the learner holds, so that they are no size beside these."""


@dataclass(frozen=True)
class Pruning:
    """A share of all weights of linear and convolution layers, the smallest by magnitude; then steps of recovery."""

    name: str = "prune"
    summary: str = "the smallest weights set to zero: prune:SHARE; prune:SHARE:recover=STEPS trains on"
    packages: tuple[str, ...] = ()
    extra: str = ""
    exact: bool = False
    same_operations: bool = True

    def check(self, argument: str) -> None:
        """Take a share between 0 and 1 and a number of steps; raises UsageError for others."""
        share_and_steps(argument)

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Set the smallest weights to zero, and train on where that is asked for."""
        import torch
        from torch import nn

        share, steps = share_and_steps(work.argument)
        module = require_module(work.learner, "+prune")
        names = [name for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
        if not names:
            raise NotCompressible("+prune: this model has no linear and no convolution layer. Leave the modifier out.")
        weights = {name: module.get_submodule(name).weight for name in names}
        weights = {name: weight for name, weight in weights.items() if weight.requires_grad or not steps} or weights
        sizes = torch.cat([weight.detach().abs().flatten() for weight in weights.values()])
        threshold = sizes.kthvalue(max(1, math.ceil(share * sizes.numel()))).values
        masks = {name: (weight.detach().abs() > threshold) for name, weight in weights.items()}

        def mask() -> None:
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.mul_(masks[name])

        mask()
        if steps:
            recover_or_load(work, steps, mask)
        zeros = sum(int((weight == 0).sum()) for weight in weights.values())
        return {"layers": len(weights), "zeros": zeros / sizes.numel(), "recovery_steps": steps}


def recover_or_load(work: CompressionWork, steps: int, after_step: Callable[[], None]) -> None:
    """Train a pruned learner on, or load what that came to before."""
    from safetensors.torch import load_file, save_file

    path = work.folder / RECOVERED
    module: Any = work.learner
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if path.is_file():
        module.load_state_dict(load_file(path), strict=False)
        return
    work.train(steps, after_step)
    with replace_atomically(path) as temporary:
        save_file({name: p.detach().contiguous().clone() for name, p in trained.items()}, temporary)


def share_and_steps(argument: str, name: str = "prune") -> tuple[float, int]:
    """Read `0.5` or `0.5:recover=100`; raises UsageError for anything else.

    >>> share_and_steps("0.5"), share_and_steps("0.9:recover=100")
    ((0.5, 0), (0.9, 100))
    """
    first, _, rest = argument.partition(":")
    wanted = f"wanted +{name}:SHARE or +{name}:SHARE:recover=STEPS, as +{name}:0.5:recover=100"
    try:
        share, steps = float(first), int(rest.removeprefix(_RECOVER)) if rest else 0
    except ValueError:
        raise UsageError(f"+{name}:{argument}: {wanted}.") from None
    if not 0 < share < 1 or steps < 0 or (rest and not rest.startswith(_RECOVER)):
        raise UsageError(f"+{name}:{argument}: {wanted}, a share between 0 and 1.")
    return share, steps


PRUNE = Pruning()
