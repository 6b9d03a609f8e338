"""Full: every weight moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Leave every pretrained weight trainable."""
    for parameter in language.pretrained:
        parameter.requires_grad_(True)


full = TuningPolicy(
    "full",
    "every weight moves",
    "baselines.tuning.full:tune",
)
