"""Options of chat models, `--set model.KEY=VALUE`: what they are asked, and how one of several options is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import UsageError, nearest

LIKELIHOOD, GENERATION = "likelihood", "generation"
_CHOICES = {"options_by": (LIKELIHOOD, GENERATION), "option_score": ("sum", "mean")}


@dataclass(frozen=True)
class ChatSettings:
    """What can be set, with its default."""

    prompts: str = ""
    """A file of prompts, or the name of an installed one; each of its prompts is run."""
    prompt_name: str = ""
    """The one prompt by which is asked."""
    options_by: str = LIKELIHOOD
    """likelihood or generation: how one of several options is chosen."""
    option_score: str = "sum"
    """sum or mean over the tokens of an option, where likelihoods are compared."""


CHAT_SETTINGS = tuple(item.name for item in fields(ChatSettings))


def read_chat_settings(given: Mapping[str, Any]) -> ChatSettings:
    """Pick out what concerns chat models; raises UsageError for values that nothing knows."""
    found = {name: given[name] for name in CHAT_SETTINGS if name in given}
    for name, value in found.items():
        if not isinstance(value, str):
            raise UsageError(f"model.{name}={value!r}: wanted text.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise UsageError(f"model.{name}={value}: {nearest(value, _CHOICES[name])}")
    return ChatSettings(**found)
