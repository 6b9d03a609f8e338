"""Full: every weight moves."""

from __future__ import annotations

from baselines.language import Language
from baselines.settings import Settings


def tune(language: Language, settings: Settings) -> None:
    """Leave every pretrained weight trainable."""
    for parameter in language.pretrained:
        parameter.requires_grad_(True)
