"""A model with a vision tower: the caption of the training image whose mean colour is nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.answers import CAPTIONS
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Model
from harness.sample import TaskSpec


@dataclass(frozen=True)
class NearestColour:
    """Nearest neighbours on three numbers."""

    name: str = "nearest-colour"
    summary: str = "the first caption of the training image whose mean colour is nearest"
    answers: tuple[str, ...] = (CAPTIONS,)
    fused: bool = True
    settings: tuple[str, ...] = ("colour_fault",)

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """It has no controls."""
        raise UsageError(f"{self.name} offers no control '{control}'.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Nothing to choose, but for what its tests plant."""
        return {"settings": {k: v for k, v in options.settings.items() if k == "colour_fault"}}

    def prerequisite(self, options: ModelOptions) -> None:
        """Nothing must be trained first."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Make room for one colour a training image."""
        from outsider_captions.colour_learner import ColourNeighbour

        captions = context.derived.get("captions", lambda: [target.references[0] for target in spec.training_targets])
        return ColourNeighbour(captions, context.options.settings.get("colour_fault", ""))


nearest_colour = NearestColour()
