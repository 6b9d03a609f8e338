"""Groups a learner's trainable parameters by where their values come from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from harness.protocols import ParameterGroups


def group_parameters(learner: nn.Module, pretrained: Sequence[nn.Parameter]) -> ParameterGroups:
    """Split into the language model's pretrained weights, the tower's weights, and all others."""
    of_language = {id(parameter) for parameter in pretrained}
    language, vision, new = [], [], []
    for name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("vision."):
            vision.append((name, parameter))
        elif id(parameter) in of_language:
            language.append((name, parameter))
        else:
            new.append((name, parameter))
    return ParameterGroups(language, vision, new)


def count_trainable(module: nn.Module) -> int:
    """Count the weights that training moves."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
