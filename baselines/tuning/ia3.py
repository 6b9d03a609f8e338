"""IA3: factors on keys, values and feed-forward layers (Liu et al. 2022, arXiv 2205.05638), by peft.

One factor a channel of keys, of values and of what the second feed-forward layer reads, 1 at the start, so that the
language model is itself at first. Layers are those that peft knows of
an architecture: of BERT and its kin `output.dense` is the output of attention as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.tuning.peft_injection import inject, target_layers
from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer
from harness.errors import UsageError


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze the language model and inject factors; raises UsageError where no layer is named so.

    Of the layers of `model.ia3_targets` those of `model.ia3_feedforward` have what they read scaled, the others what
    they give.
    """
    from peft import IA3Config
    from peft.utils import constants

    targets = target_layers(
        language, settings["ia3_targets"], constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING, "ia3"
    )
    known = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING
    usual = () if settings["ia3_targets"] else known.get(language.model.config.model_type, ())
    named = [name for name in str(settings["ia3_feedforward"]).split("+") if name]
    if strange := [name for name in named if name not in targets]:
        raise UsageError(f"model.ia3_feedforward: {strange[0]} is none of the layers {'+'.join(targets)}.")
    configuration = IA3Config(target_modules=targets, feedforward_modules=named or list(usual))
    inject(language, configuration, targets, "ia3")


ia3 = TuningPolicy(
    "ia3",
    "factors on keys, values and feed-forward layers (IA3 2022)",
    "baselines.tuning.ia3:tune",
    settings={"ia3_targets": "", "ia3_feedforward": ""},
)
