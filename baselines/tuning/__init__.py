"""Tuning policies: which weights of a language model move. One file each, found here by name.

Weights that are new (fusion, a head that the checkpoint lacks) are trained under every policy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from baselines.settings import Settings
    from baselines.tuning.transformer import Transformer

POLICIES: Final = ("frozen", "full", "lora", "adapter", "bitfit")


class TuningPolicy(Protocol):
    """Sets `requires_grad` on a pretrained language model, and may put small new parts into it."""

    def __call__(self, language: Transformer, settings: Settings) -> None:
        """Change the language model in place; all its pretrained weights are trainable before."""
        ...


def check_policy(name: str) -> str:
    """Return a policy's name; raises UsageError for an unknown one."""
    if name not in POLICIES:
        raise UsageError(f"Unknown tuning policy '{name}'. {nearest(name, POLICIES)}")
    return name


def find_policy(name: str) -> TuningPolicy:
    """Load a policy by name; raises UsageError for an unknown one."""
    policy: TuningPolicy = import_module(f"baselines.tuning.{check_policy(name)}").tune
    return policy
