"""The task `compositional-foils`: which of a caption and its foils is true of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.answers import CHOICES
from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Prediction, Sample, Target, TaskSpec, targets_of

if TYPE_CHECKING:
    from harness.protocols import Scorer

_SPLIT = "test"


@dataclass(frozen=True)
class FoilTask:
    """SugarCrepe's files, Winoground's groups, or the foils of the built-in Scenes.

    Files of foils are evaluated only: there is nothing to train on. `images` names the folder of their images.
    """

    name: str = "compositional-foils"
    summary: str = "tell a true caption from foils that differ in one respect (SugarCrepe, Winoground groups, Scenes)"
    version: int = 1
    metrics: tuple[str, ...] = ("matching-accuracy", "image-score", "group-score")
    settings: tuple[str, ...] = ("images",)
    learnable_score: float = 0.9
    answers: str = CHOICES

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.datasets.locations import locate_data, refuse_settings

        folder = locate_data(context)
        if folder is not None:
            return _open_files(folder, context)
        from tasks.foils.scenes_foils import SPLIT
        from tasks.scenes_data.open import Variant, open_scenes

        refuse_settings(context, ("images",), "is for files of foils, and Scenes has its own images")
        return open_scenes(context, Variant(default_split=SPLIT))

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; which of the texts is the true one is drawn by the sample's id."""
        if data.layout == "scenes":
            from tasks.foils.scenes_foils import read_scene_foils

            return read_scene_foils(data, split)
        from tasks.foils.files import find_foil_files

        if split not in data.splits:
            raise UsageError(f"{data.name} has no split '{split}'. {nearest(split, data.splits)}")
        return find_foil_files(data.root, data.options.get("images")).read()

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the training captions."""
        return TaskSpec(self.name, targets_of(training), CHOICES)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known."""
        return {}

    def chance(self, data: Dataset, samples: Sequence[Sample]) -> float:
        """Guessing takes any of the texts."""
        return sum(1 / len(sample.choices) for sample in samples) / max(1, len(samples))

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Accuracy."""
        from tasks.foils.scoring import quick_accuracy

        return quick_accuracy(predictions, [target.choice for target in targets])

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Accuracy, by kind too, groups, and what the texts alone give away."""
        from tasks.foils.scoring import FoilScorer

        return FoilScorer()

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read a JSON list of scores by sample id, each named as the text that it is of."""
        from tasks.foils.predictions import read_choice_scores

        return read_choice_scores(path)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read one file of SugarCrepe or Winoground alone; its images are not looked for."""
        from tasks.foils.files import read_foils_alone

        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        samples = read_foils_alone(path)
        return Dataset(path.stem, path.parent, digest, "references", ("all",), None, None, "all"), samples


def _open_files(root: Path, context: DataContext) -> Dataset:
    from harness.storage.content import Contents
    from tasks.foils.files import find_foil_files
    from tasks.formats.digests import digest_of_files

    images = context.settings.get("images")
    found = find_foil_files(root, None if images is None else str(images))
    pictures = {sample.image.name: sample.image for sample in found.read()}
    digest = digest_of_files((), found.annotations, sorted(pictures.items()), Contents(context.cache, context.progress))
    options = {} if images is None else {"images": str(images)}
    name = root.resolve().name
    return Dataset(
        name, root.resolve(), digest, "foils", (_SPLIT,), None, None, _SPLIT, options=options, cache=context.cache
    )


compositional_foils = FoilTask()
