"""The linear layers of a learner: what weight quantisation acts on."""

from __future__ import annotations

from typing import Any

from harness.errors import NotCompressible
from harness.protocols import Learner


def is_plain_linear(module: Any, name: str = "") -> bool:
    """Tell whether a module is a linear layer whose weight only its own call reads.

    `torch.nn.MultiheadAttention` reads the weight of its projection past its call: that layer is of another class.
    """
    from torch import nn

    return type(module) is nn.Linear


def linear_layers(learner: Learner, what: str) -> list[str]:
    """Name the linear layers of a learner; raises NotCompressible where it has none, or is no torch module."""
    modules = require_module(learner, what).named_modules()
    found = [name for name, module in modules if is_plain_linear(module)]
    if not found:
        raise NotCompressible(
            f"{what}: {type(learner).__name__} has no linear layer (torch.nn.Linear), and nothing else is quantised. "
            "Leave the modifier out, or take +onnx, +openvino or +compile."
        )
    return found


def require_module(learner: Learner, what: str) -> Any:
    """Give a learner as a torch module; raises NotCompressible where it is none or has no weight."""
    from torch import nn

    module: Any = learner
    if not isinstance(module, nn.Module) or next(module.parameters(), None) is None:
        kind = "has no weights of torch" if isinstance(module, nn.Module) else "is no torch module"
        raise NotCompressible(
            f"{what}: {type(learner).__name__} {kind}, so there is nothing to compress here. Leave the modifier out."
        )
    return module


def share_of_weights(learner: Learner, names: list[str]) -> float:
    """Which share of a learner's weights the named modules hold, 0..1."""
    module: Any = learner
    total = sum(parameter.numel() for parameter in module.parameters())
    own = sum(module.get_submodule(name).weight.numel() for name in names)
    return float(own / total) if total else 0.0
