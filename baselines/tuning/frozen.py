"""Frozen: no pretrained weight moves (Frozen, Tsimpoukelli et al. 2021, arXiv 2106.13884)."""

from __future__ import annotations

from baselines.settings import Settings
from baselines.tuning.transformer import Transformer


def tune(language: Transformer, settings: Settings) -> None:
    """Freeze every pretrained weight."""
    for parameter in language.pretrained:
        parameter.requires_grad_(False)
