"""LoRA: low-rank updates of the query and value projections (Hu et al. 2021, arXiv 2106.09685), by peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.tuning.peft_injection import inject, target_layers
from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze the language model and inject LoRA of `model.rank`; raises UsageError where no layer is named so."""
    from peft import LoraConfig
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    targets = target_layers(language, settings["lora_targets"], KNOWN, "lora")
    configuration = LoraConfig(r=settings["rank"], lora_alpha=settings["lora_alpha"], target_modules=targets)
    inject(language, configuration, targets, "lora")


lora = TuningPolicy(
    "lora",
    "low-rank updates of the query and value projections (LoRA 2021)",
    "baselines.tuning.lora:tune",
    settings={"rank": 8, "lora_alpha": 16, "lora_targets": ""},
)
