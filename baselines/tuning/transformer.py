"""A language model of transformers and its parts, as tuning policies and fusion see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Transformer:
    """`pretrained` are the parameters that the checkpoint gave (re-initialised ones under C2 included).

    What of them is frozen is kept in `dtype`, and the model computes in it; the others stay in fp32.
    """

    name: str
    model: Any
    pretrained: tuple[nn.Parameter, ...]
    blocks: nn.ModuleList
    width: int
    heads: int
    dtype: str = field(default="fp32", kw_only=True)
