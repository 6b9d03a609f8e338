"""Options of api models, `--set model.KEY=VALUE`: how a model is sampled, and how its server is asked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import UsageError, nearest

AUTO, FIRST_TOKEN, LIKELIHOOD, GENERATION = "auto", "first-token", "likelihood", "generation"
_CHOICES = {
    "options_by": (AUTO, FIRST_TOKEN, LIKELIHOOD, GENERATION),
    "option_score": ("sum", "mean"),
    "blind_server": ("refused", "allowed"),
}


@dataclass(frozen=True)
class ApiSettings:
    """What can be set, with its default."""

    temperature: float = 0.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    """Sample among the most probable tokens of so much probability."""
    frequency_penalty: float = 0.0
    """Penalty of tokens by how often they were said."""
    presence_penalty: float = 0.0
    """Penalty of tokens that were said."""
    prompts: str = ""
    """A file of prompts, or the name of an installed one; each of its prompts is run."""
    prompt_name: str = ""
    """The one prompt by which is asked; by default the first that fits what the server can."""
    extra: str = ""
    """A JSON object of more members of the request; null takes a member out."""
    options_by: str = AUTO
    """auto, first-token, likelihood or generation: how one of several options is chosen."""
    option_score: str = "sum"
    """sum or mean over the tokens of an option, where likelihoods are compared."""
    top_logprobs: int = 20
    """How many log-probabilities a token are asked for."""
    blind_server: str = "refused"
    """refused or allowed: what becomes of a server that drops images."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    concurrency: int = 32
    """Requests at once at most."""
    timeout_s: float = 120.0
    """Seconds that one request may take."""
    retry_s: float = 300.0
    """Seconds after which a request is not tried again."""
    give_up_after: int = 40
    """So many failures in a row end the asking."""
    price_in: float = 0.0
    """Price of a million prompt tokens, in a currency of yours."""
    price_out: float = 0.0
    """Price of a million tokens of answers."""

    def extra_members(self) -> dict[str, Any]:
        """Read `extra`; raises UsageError for what is no JSON object."""
        try:
            found = json.loads(self.extra or "{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(
                f'model.extra={self.extra!r:.80}: wanted a JSON object such as \'{{"top_k": 1, "logprobs": null}}\'.'
            )
        return found

    def sampling(self) -> dict[str, Any]:
        """What moves answers, for a recipe."""
        names = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "options_by", "option_score")
        return {name: getattr(self, name) for name in names} | {"extra": self.extra_members()}


API_SETTINGS = tuple(item.name for item in fields(ApiSettings))


def read_api_settings(given: Mapping[str, Any]) -> ApiSettings:
    """Check settings; raises UsageError for a value that does not fit."""
    defaults = {item.name: item.default for item in fields(ApiSettings)}
    found = {name: _checked(name, value, defaults[name]) for name, value in given.items() if name in defaults}
    settings = ApiSettings(**found)
    settings.extra_members()
    return settings


def _checked(name: str, value: Any, default: Any) -> Any:
    if name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"model.{name}={value}: {nearest(str(value), _CHOICES[name])}")
    if isinstance(default, str):
        return json.dumps(value) if isinstance(value, dict) else str(value)
    wanted = "a whole number of at least 1" if isinstance(default, int) else "a number, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"model.{name}={value!r}: wanted {wanted}.")
    fits = value >= 1 and value == int(value) if isinstance(default, int) else value >= 0 or name.endswith("penalty")
    if not fits:
        raise UsageError(f"model.{name}={value!r}: wanted {wanted}.")
    return type(default)(value)
