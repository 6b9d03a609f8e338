"""A model behind an OpenAI-compatible endpoint, by name: `api:http://localhost:8000/v1#MODEL`. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.api.address import Endpoint, parse_endpoint
from baselines.api.prompt_choice import candidate_prompts
from baselines.api.settings import API_SETTINGS, read_api_settings
from harness.answers import CAPTIONS, CHOICES, LABELS, UNSEEN_LABELS
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

_NO_IMAGE = "C5"
_PROTOCOL = 1
"""Raised whenever the same options would ask another question."""


@dataclass(frozen=True)
class ApiModel:
    """A model that a server answers for: nothing is trained, measured or loaded here.

    Its only control is C5, the same questions without an image: what the language alone gives away.
    """

    name: str
    endpoint: Endpoint
    control: str | None = None
    answers: tuple[str, ...] = (CAPTIONS, LABELS, UNSEEN_LABELS, "answers", CHOICES)
    fused: bool = True
    settings: tuple[str, ...] = API_SETTINGS
    evaluates_only: bool = True

    @property
    def summary(self) -> str:
        """What it is."""
        return f"{self.endpoint.model} behind {self.endpoint.host}"

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer the questions without an image."""
        return (_NO_IMAGE,)

    def with_control(self, control: str) -> ApiModel:
        """Make the control of it."""
        if control != _NO_IMAGE:
            raise UsageError(f"Model '{self.name}' has the control {_NO_IMAGE} (no image) and no '{control}'.")
        return replace(self, control=control)

    def prompt_names(self, options: ModelOptions) -> Sequence[str]:
        """Name the prompts of a file, each a cell of its own; else "" alone: the first that fits the server."""
        settings = read_api_settings(options.settings)
        if settings.prompts and not settings.prompt_name:
            return tuple(prompt.name for prompt in candidate_prompts(options.answers, settings))
        return (settings.prompt_name,)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name address, model, sampling and prompts; raises UsageError. Nothing is asked of the server."""
        settings = read_api_settings(options.settings)
        asked = [prompt.to_json() for prompt in candidate_prompts(options.answers or CAPTIONS, settings)]
        return {
            "library": "endpoint",
            "url": self.endpoint.url,
            "model": self.endpoint.model,
            "protocol": _PROTOCOL,
            "images": "none" if self.control else "PNG, as on disk",
            **settings.sampling(),
            **({"prompt": asked[0]} if settings.prompt_name else {"prompts": asked}),
        }

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Make what asks; raises UsageError where a key is wanted and not there. Nothing is asked of the server yet."""
        from baselines.api.learner import ApiLearner

        return ApiLearner(self.endpoint, spec, context, images=self.control is None)


def parse_api_name(name: str) -> ApiModel:
    """Turn `api:URL#MODEL` into a model; raises UsageError."""
    return ApiModel(name, parse_endpoint(name))
