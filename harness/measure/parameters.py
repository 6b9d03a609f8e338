"""How many parameters a model has, and how many of them are trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ParameterCount:
    """Numbers of scalar weights; a tensor that several modules share counts once. Buffers do not count."""

    total: int
    trainable: int


def count_parameters(module: nn.Module, trained: Iterable[nn.Parameter] | None = None) -> ParameterCount:
    """Count a module's parameters.

    Trainable are the `trained` ones (those of `Learner.parameter_groups`) where given, else those that
    require a gradient. Parameters of `trained` outside the module count in the total as well.
    """
    chosen = list(trained) if trained is not None else [p for p in module.parameters() if p.requires_grad]
    return ParameterCount(total=_elements([*module.parameters(), *chosen]), trainable=_elements(chosen))


def _elements(parameters: Iterable[nn.Parameter]) -> int:
    return sum({id(parameter): parameter.numel() for parameter in parameters}.values())
