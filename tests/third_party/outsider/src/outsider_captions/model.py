"""A model plugin: cheap to import, torch only where a learner is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Model
from harness.sample import TaskSpec


@dataclass(frozen=True)
class MostCommonCaption:
    """The baseline that every captioner must beat; it names its tasks, as models did before there were `answers`."""

    name: str = "most-common-caption"
    summary: str = "the caption that is most common in training, for every image"
    tasks: tuple[str, ...] = ("coco-caption", "word-caption")
    fused: bool = False
    settings: tuple[str, ...] = ("outsider_fault",)

    def controls_for(self, task: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """It has no controls."""
        raise UsageError(f"{self.name} offers no control '{control}'.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Nothing to choose, but for what its tests plant."""
        return {"settings": {k: v for k, v in options.settings.items() if k == "outsider_fault"}}

    def prerequisite(self, options: ModelOptions) -> None:
        """Nothing must be trained first."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Count the training captions."""
        from outsider_captions.learner import ConstantCaption

        faults = str(context.options.settings.get("outsider_fault", "")).split(";")
        return ConstantCaption(spec.training_targets, faults[context.seed % len(faults)])


most_common_caption = MostCommonCaption()
