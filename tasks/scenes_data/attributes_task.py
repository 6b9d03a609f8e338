"""The task that gives the built-in vision backbone its pretraining: which attributes does a scene show?

It only trains a prerequisite (phi0 of the default vision tower) and is not offered to users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import ATTRIBUTES
from harness.errors import UsageError
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Prediction, Sample, Target, TaskSpec
from tasks.datasets.split_roles import HELD_OUT, held_out_ids

if TYPE_CHECKING:
    from harness.protocols import Scorer


@dataclass(frozen=True)
class SceneAttributes:
    """Multi-label attribute recognition on the training images of Scenes."""

    name: str = "scene-attributes"
    summary: str = "pretraining of the built-in vision backbone"
    version: int = 1
    metrics: tuple[str, ...] = ("mAP",)
    settings: tuple[str, ...] = ()
    learnable_score: float = 0.0
    answers: str = ATTRIBUTES

    def open_data(self, context: DataContext) -> Dataset:
        """Always Scenes; a part of its training images selects the checkpoint, so that val stays unseen."""
        from tasks.scenes_data.open import open_scenes

        return replace(open_scenes(context), splits=("train", HELD_OUT), selection_split=HELD_OUT)

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; the target is a list of 0 and 1, one per attribute."""
        from tasks.scenes.attributes import attribute_targets
        from tasks.scenes_data.open import read_scene_captions

        labels, _ = attribute_targets(data.root, "train")
        images = read_scene_captions(data, "train")
        held_out = held_out_ids([image.sample_id for image in images])
        rows = zip(images, labels.tolist(), strict=True)
        return [
            Sample(image.sample_id, image.image, target)
            for image, target in rows
            if (image.sample_id in held_out) == (split == HELD_OUT)
        ]

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the number of attributes through the targets."""
        return TaskSpec(self.name, tuple(sample.target for sample in training), ATTRIBUTES)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None: nothing is scored here."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Mean average precision over the attributes that occur, 0..1."""
        import numpy as np

        scores, labels = np.asarray(predictions), np.asarray(targets)
        present = labels.any(axis=0)
        return float(np.mean([average_precision(scores[:, i], labels[:, i]) for i in np.flatnonzero(present)]))

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """There is none: this task has no leaderboard."""
        raise UsageError("scene-attributes only pretrains the built-in vision backbone; it is not scored.")

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """There are none to read."""
        raise UsageError("scene-attributes has no predictions to score.")

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """There are none to read."""
        raise UsageError("scene-attributes has no references to score against.")


def average_precision(scores: Any, labels: Any) -> float:
    """Mean precision at the rank of each positive; ties keep their order. 0..1."""
    import numpy as np

    ranked = labels[np.argsort(-scores, kind="stable")]
    ranks = np.flatnonzero(ranked) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


scene_attributes = SceneAttributes()
