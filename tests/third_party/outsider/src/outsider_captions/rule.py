"""A model without a parameter of torch, as one that wraps an ONNX session: evaluated as it is, its costs stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.answers import CHOICES
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Model
from harness.sample import TaskSpec


@dataclass(frozen=True)
class ColourWord:
    """Prefers the text that names the image's strongest colour."""

    name: str = "colour-word"
    summary: str = "prefers the text that names the strongest colour of the image"
    answers: tuple[str, ...] = (CHOICES,)
    fused: bool = True
    settings: tuple[str, ...] = ()
    evaluates_only: bool = True

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """It has no controls."""
        raise UsageError(f"{self.name} offers no control '{control}'.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Nothing to choose."""
        return {"rule": 1}

    def prerequisite(self, options: ModelOptions) -> None:
        """Nothing must be trained first."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """There is nothing to load."""
        from outsider_captions.rule_learner import ColourRule

        return ColourRule()


colour_word = ColourWord()
