"""Puts peft's small weights into a frozen language model, as policies that are made by peft share it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from baselines.tuning.frozen import freeze
from baselines.tuning.transformer import Transformer
from harness.errors import UsageError

if TYPE_CHECKING:
    from peft import PeftConfig


def inject(language: Transformer, configuration: PeftConfig, targets: Sequence[str], policy: str) -> None:
    """Freeze the pretrained weights and inject; raises UsageError where no layer has one of the names of `targets`."""
    from peft import inject_adapter_in_model

    trained = {name for name, p in language.model.named_parameters() if p.requires_grad} - _pretrained(language)
    freeze(language)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft corrects fan_in_fan_out for GPT-2's Conv1D, and says so
        try:
            inject_adapter_in_model(configuration, language.model)
        except ValueError as error:
            linear = sorted({name.rpartition(".")[2] for name, m in language.model.named_modules() if _is_linear(m)})
            raise UsageError(
                f"--tune {policy}: {language.name} has no layers named {', '.join(targets)}. "
                f"Name them with model.{policy}_targets=A+B; linear layers there: {', '.join(linear)}."
            ) from error
    for name, parameter in language.model.named_parameters():
        if name in trained:  # peft froze them with the rest
            parameter.requires_grad_(True)


def target_layers(language: Transformer, named: object, known: Mapping[str, Sequence[str]], policy: str) -> list[str]:
    """The layers that the user has named, a+b, else those that are known of the architecture; raises UsageError."""
    if named:
        return str(named).split("+")
    architecture = language.model.config.model_type
    if architecture not in known:
        raise UsageError(
            f"--tune {policy}: no layers are known for the architecture {architecture}. "
            f"Name them with model.{policy}_targets=A+B, such as q_proj+v_proj."
        )
    return list(known[architecture])


def _pretrained(language: Transformer) -> set[str]:
    pretrained = {id(parameter) for parameter in language.pretrained}
    return {name for name, p in language.model.named_parameters() if id(p) in pretrained}


def _is_linear(module: object) -> bool:
    return type(module).__name__ in ("Linear", "Conv1D")
