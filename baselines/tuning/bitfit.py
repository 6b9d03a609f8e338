"""BitFit: only the pretrained biases move (Ben Zaken et al. 2022, arXiv 2106.10199).

peft's `bias="all"` is not this: it adds LoRA matrices too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer
from harness.errors import UsageError


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Train biases, freeze the rest; raises UsageError for a language model without biases."""
    pretrained = {id(parameter) for parameter in language.pretrained}
    biases = 0
    for name, parameter in language.model.named_parameters():
        if id(parameter) in pretrained:
            is_bias = name.rpartition(".")[2] == "bias"
            parameter.requires_grad_(is_bias)
            biases += is_bias
    if not biases:
        raise UsageError(
            f"--tune bitfit: {language.name} has no biases (most LLaMA-like models have none). Take --tune lora."
        )


bitfit = TuningPolicy(
    "bitfit",
    "only the pretrained biases move (BitFit 2022)",
    "baselines.tuning.bitfit:tune",
)
