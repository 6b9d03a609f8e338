"""Only the last blocks of the language model move (Howard & Ruder 2018, arXiv 1801.06146)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze all pretrained weights but those of the last `model.last_blocks` blocks."""
    pretrained = {id(parameter) for parameter in language.pretrained}
    moving: set[int] = set()
    for block in list(language.blocks)[-int(settings["last_blocks"]) :]:
        assert isinstance(block, nn.Module)
        moving |= {id(parameter) for parameter in block.parameters()}
    for parameter in language.pretrained:
        parameter.requires_grad_(id(parameter) in pretrained & moving)


last_blocks = TuningPolicy(
    "last-blocks", "the last blocks move", "own_parts.last_blocks:tune", settings={"last_blocks": 1}
)
