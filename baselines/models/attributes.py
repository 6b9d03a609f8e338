"""The named model `attribute-classifier`, which gives the default backbone its weights. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.vision.source import scenes_cnn_from_scratch
from harness.answers import ATTRIBUTES
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec


@dataclass(frozen=True)
class AttributeModel:
    """The default backbone from scratch, with one linear layer for all attributes."""

    name: str
    summary: str
    answers: tuple[str, ...] = (ATTRIBUTES,)
    fused: bool = False
    settings: tuple[str, ...] = ()

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> AttributeModel:
        """Offer none."""
        raise UsageError(f"Model '{self.name}' has no control '{control}': only fused models have controls.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say which network."""
        return {"vision": scenes_cnn_from_scratch(options).to_json()}

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need none."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build the network with random weights; its batch norm learns its statistics."""
        from baselines.learners.attributes import AttributeClassifier
        from baselines.seeding import seeded
        from baselines.vision.timm_tower import build_tower

        with seeded(context.seed):
            tower = build_tower(scenes_cnn_from_scratch(context.options))
            tower.updates_batch_norm = True
            attributes = context.derived.get("attributes", lambda: len(spec.training_targets[0]))
            return AttributeClassifier(tower, attributes)
