"""The named model `retrieval`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.load_options import FOR_WEIGHTS, SettlesLoading
from baselines.settings import read_settings, settings_of, settings_to_build
from baselines.vision.source import find_vision, is_scenes_cnn, scenes_cnn_prerequisite
from harness.answers import CAPTIONS
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec


@dataclass(frozen=True)
class RetrievalModel(SettlesLoading):
    """Nearest-neighbour captions on a frozen backbone; `--set model.neighbours=N` wins over its own number."""

    name: str
    summary: str
    neighbours: int = 1
    answers: tuple[str, ...] = (CAPTIONS,)
    fused: bool = False
    settings: tuple[str, ...] = ("vision_stage", "neighbours", *FOR_WEIGHTS)

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> RetrievalModel:
        """Offer none."""
        raise UsageError(f"Model '{self.name}' has no control '{control}': only fused models have controls.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say which backbone and how many neighbours."""
        settings = read_settings(options.settings)
        return {
            "vision": find_vision(options).to_json(),
            **settings_of(settings, "vision_stage"),
            "neighbours": settings.neighbours or self.neighbours,
            **settings.load.to_json(),
        }

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """The default backbone must have been trained on Scenes' attributes."""
        return scenes_cnn_prerequisite() if is_scenes_cnn(options) else None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build an empty memory."""
        from baselines.learners.retrieval import CaptionRetrieval
        from baselines.seeding import seeded
        from baselines.vision.timm_tower import open_tower

        with seeded(context.seed):  # its weights are drawn before they are read
            tower = open_tower(context)
        settings = settings_to_build(context)
        tower.freeze(settings.load.torch_dtype)
        captions = context.derived.get("captions", lambda: [list(t.references) for t in spec.training_targets])
        return CaptionRetrieval(tower, captions, settings.neighbours or self.neighbours)
