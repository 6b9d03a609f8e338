"""Frozen: no pretrained weight moves (Frozen, Tsimpoukelli et al. 2021, arXiv 2106.13884)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.tuning.policy import TuningPolicy
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Mapping[str, Any]) -> None:
    """Freeze every pretrained weight."""
    freeze(language)


def freeze(language: Transformer) -> None:
    """Freeze every pretrained weight, as other policies do first."""
    for parameter in language.pretrained:
        parameter.requires_grad_(False)


frozen = TuningPolicy(
    "frozen",
    "no pretrained weight moves",
    "baselines.tuning.frozen:tune",
)
