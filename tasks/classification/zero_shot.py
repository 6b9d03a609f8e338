"""The task `zero-shot-classification`: name classes of which no training image was seen, from what they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import UNSEEN_LABELS
from harness.errors import UsageError
from harness.protocols import DataContext
from harness.sample import AnswerEvidence, Dataset, Outcome, Prediction, Sample, Target, TaskSpec

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.condition import Part
    from harness.protocols import Scorer


@dataclass(frozen=True)
class ZeroShotTask:
    """Seen and unseen classes together, so that a model can also be wrong by naming what it knows."""

    name: str = "zero-shot-classification"
    summary: str = (
        "name classes never seen in training, from their texts (image folders, CIFAR, COCO, Scenes' lexicons)"
    )
    version: int = 1
    metrics: tuple[str, ...] = ("unseen-top-1", "S", "unparsed", "U", "H", "AUSUC", "top-1")
    settings: tuple[str, ...] = (
        "templates",
        "lexicon",
        "test_lexicon",
        "classes",
        "labels",
        "unseen",
        "badge_agreement",
    )
    learnable_score: float = 0.9
    answers: str = UNSEEN_LABELS

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.classification.data import open_label_folder
        from tasks.datasets.locations import locate_data, refuse_settings

        folder = locate_data(context)
        if folder is None:
            return _open_scenes(context)
        refuse_settings(context, ("lexicon", "test_lexicon", "badge_agreement"), f"is for Scenes, and {folder} is not")
        return open_label_folder(folder, context, zero_shot=True)

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """How labels in a file of predictions are meant; raises UsageError."""
        from tasks.classification.data import label_reading

        return label_reading(context)

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; samples of unseen classes are left out of the training and the selection split."""
        if data.layout == "scenes":
            from tasks.scenes_data.labels import open_label_samples

            return open_label_samples(data, split)
        from tasks.classification.data import folder_samples

        return folder_samples(data, split)

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over all classes, unseen ones too, with their texts."""
        from tasks.classification.data import label_spec

        return label_spec(self.name, data, training)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """Known on Scenes: whether the lexicon tells the factors at all."""
        if data.layout != "scenes":
            return {}
        from tasks.scenes.oracle import zero_shot_ceiling

        ceiling = zero_shot_ceiling(data.options.get("test_lexicon", data.options["lexicon"]))
        return {
            "unseen-top-1": {"vision": float(ceiling.vision), "text": float(ceiling.text), "both": float(ceiling.both)}
        }

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Top-1 on seen classes: the only ones that may select a checkpoint."""
        from tasks.classification.data import quick_label_score

        return quick_label_score(predictions, targets)

    def evidence(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Sequence[AnswerEvidence | None]:
        """Known on Scenes: the object that is asked about, and the words that tell it; of COCO and VOC the objects."""
        if data.layout != "scenes":
            from tasks.classification.evidence import folder_label_evidence

            return folder_label_evidence(data, split, samples)
        from tasks.scenes_data.evidence import scene_label_evidence

        return scene_label_evidence(data, split, samples)

    def moved(self, target: Target, affine: Affine) -> Target:
        """What an image shows stays the same where it is moved."""
        return target

    def moved_text(self, text: str, affine: Affine) -> str:
        """Left and right change places in what is said of a mirrored image."""
        from tasks.targets.mirrored_words import moved_words

        return moved_words(text, affine)

    def corruptions(self, data: Dataset) -> Mapping[str, Part]:
        """Those of CIFAR-10-C, CIFAR-100-C and ImageNet-C."""
        from tasks.classification.data import corruptions_of

        return corruptions_of(data)

    def chance(self, data: Dataset, samples: Sequence[Sample]) -> float:
        """One of the unseen classes at random, since the first metric compares them alone.

        On samples of seen classes only it is absent; recall among all classes ranks, so it is one of these.
        """
        from tasks.classification.data import label_classes

        seen = label_classes(data).seen
        ranked = any(not seen[sample.target.label] for sample in samples)
        return 1 / (seen.count(False) if ranked else len(seen))

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Probabilities against labels, seen and unseen."""
        from tasks.classification.data import label_classes
        from tasks.classification.scoring import LabelScorer

        return LabelScorer(label_classes(data), zero_shot=True)

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read a CSV or Parquet file of `sample_id` and `label` (or `label_index`), or of a column a class.

        A label is a class name, a class folder (WordNet id) or an index; all are of one kind.
        """
        return self.begin_predictions(path)(data)

    def begin_predictions(self, path: Path) -> Callable[[Dataset], Sequence[Outcome]]:
        """Read such a file while the data is not known yet."""
        from tasks.classification.data import begin_label_predictions

        return begin_label_predictions(path)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """There is no file format of its own for labels."""
        raise UsageError(f"{self.name} takes its labels from --data, not from --references.")


def _open_scenes(context: DataContext) -> Dataset:
    from tasks.datasets.locations import refuse_settings
    from tasks.datasets.prompts import PLAIN, check_templates
    from tasks.scenes_data.groups import agreement_name, agreement_options, agreement_split
    from tasks.scenes_data.open import OPEN, OPEN_PARTS, Variant, open_scenes
    from tasks.scenes_data.wording import lexicon_name, lexicon_options

    refuse_settings(context, ("classes", "unseen"), "is for folders: the classes of Scenes are fixed")
    options = {
        **lexicon_options(context),
        "templates": check_templates(context.settings.get("templates", PLAIN)),
        **agreement_options(context),
    }
    name = agreement_name(lexicon_name(options), options)
    return open_scenes(context, Variant(name, options, OPEN, OPEN_PARTS, agreement_split(options)))


zero_shot_classification = ZeroShotTask()
