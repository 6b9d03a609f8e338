"""Full: every weight moves."""

from __future__ import annotations

from baselines.settings import Settings
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Settings) -> None:
    """Leave every pretrained weight trainable."""
    for parameter in language.pretrained:
        parameter.requires_grad_(True)
