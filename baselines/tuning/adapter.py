"""Adapter: a small bottleneck after each block, all pretrained weights frozen.

Houlsby et al. 2019 (arXiv 1902.00751), at one place a block as Pfeiffer et al. 2021 (arXiv 2005.00247):
2·d·r + r + d weights a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from baselines.tuning.frozen import freeze
from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer


class Adapter(nn.Module):
    """h + up(relu(down(h))); `up` starts at 0, so that the language model is itself at first."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `[B, T, width]`."""
        adapted: Tensor = hidden + self.up(self.down(hidden).relu())
        return adapted

    def after(self, block: nn.Module, arguments: Any, output: Any) -> Any:
        """Forward hook of a block: blocks return hidden states, or a tuple that begins with them."""
        return (self(output[0]), *output[1:]) if isinstance(output, tuple) else self(output)


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze the language model and let an adapter follow each of its blocks."""
    freeze(language)
    adapters = nn.ModuleList(Adapter(language.width, settings["bottleneck"]) for _ in language.blocks)
    language.model.add_module("adapters", adapters)
    for block, adapter in zip(language.blocks, adapters, strict=True):
        assert isinstance(adapter, Adapter)
        block.register_forward_hook(adapter.after)


adapter = TuningPolicy(
    "adapter",
    "a small bottleneck after each block (Houlsby 2019)",
    "baselines.tuning.adapter:tune",
    settings={"bottleneck": 64},
)
