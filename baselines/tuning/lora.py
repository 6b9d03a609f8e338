"""LoRA: low-rank updates of the query and value projections (Hu et al. 2021, arXiv 2106.09685), by peft."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from baselines.tuning.frozen import freeze
from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer
from harness.errors import UsageError


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze the language model and inject LoRA of `model.rank`; raises UsageError where no layer is named so."""
    from peft import LoraConfig, inject_adapter_in_model

    trained = {name for name, p in language.model.named_parameters() if p.requires_grad} - _pretrained(language)
    freeze(language)
    targets = _targets(language, settings)
    configuration = LoraConfig(r=settings["rank"], lora_alpha=settings["lora_alpha"], target_modules=targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft corrects fan_in_fan_out for GPT-2's Conv1D, and says so
        try:
            inject_adapter_in_model(configuration, language.model)
        except ValueError as error:
            linear = sorted({name.rpartition(".")[2] for name, m in language.model.named_modules() if _is_linear(m)})
            raise UsageError(
                f"--tune lora: {language.name} has no layers named {', '.join(targets)}. "
                f"Name them with model.lora_targets=A+B; linear layers there: {', '.join(linear)}."
            ) from error
    for name, parameter in language.model.named_parameters():
        if name in trained:  # peft froze them with the rest
            parameter.requires_grad_(True)


def _targets(language: Transformer, settings: Mapping[str, Any]) -> list[str]:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    if settings["lora_targets"]:
        return str(settings["lora_targets"]).split("+")
    architecture = language.model.config.model_type
    if architecture not in KNOWN:
        raise UsageError(
            f"--tune lora: no layers are known for the architecture {architecture}. "
            "Name them with model.lora_targets=A+B, such as q_proj+v_proj."
        )
    return list(KNOWN[architecture])


def _pretrained(language: Transformer) -> set[str]:
    pretrained = {id(parameter) for parameter in language.pretrained}
    return {name for name, p in language.model.named_parameters() if id(p) in pretrained}


def _is_linear(module: object) -> bool:
    return type(module).__name__ in ("Linear", "Conv1D")


lora = TuningPolicy(
    "lora",
    "low-rank updates of the query and value projections (LoRA 2021)",
    "baselines.tuning.lora:tune",
    settings={"rank": 8, "lora_alpha": 16, "lora_targets": ""},
)
