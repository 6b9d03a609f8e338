"""The task `image-classification`: which class is an image of, or which classes are in it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import LABELS
from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import AnswerEvidence, Dataset, Outcome, Prediction, Sample, Target, TaskSpec

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.condition import Part
    from harness.protocols import Scorer


@dataclass(frozen=True)
class ClassificationTask:
    """Classification of image folders, CIFAR, COCO's objects (multi-label), or Scenes on one of three tracks."""

    name: str = "image-classification"
    summary: str = "name the class of an image (image folders, CIFAR, COCO multi-label, Scenes with or without text)"
    version: int = 1
    metrics: tuple[str, ...] = (
        "top-1", "unparsed", "mAP", "top-5", "macro-F1", "balanced-accuracy", "micro-F1", "NLL", "Brier", "ECE",
        "ECE-null", "adaptive-ECE", "adaptive-ECE-null",
    )  # fmt: skip
    settings: tuple[str, ...] = (
        "track",
        "templates",
        "lexicon",
        "test_lexicon",
        "classes",
        "labels",
        "badge_agreement",
    )
    learnable_score: float = 0.9
    answers: str = LABELS

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.classification.data import open_label_folder
        from tasks.datasets.locations import locate_data, refuse_settings

        folder = locate_data(context)
        if folder is None:
            return _open_scenes(context)
        refuse_settings(context, ("track", "lexicon", "badge_agreement"), f"is for Scenes, and {folder} is not")
        return open_label_folder(folder, context, zero_shot=False)

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """How labels in a file of predictions are meant; raises UsageError."""
        from tasks.classification.data import label_reading

        return label_reading(context)

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; the target is a `LabelTarget`, the text a remark or an expression where the track has one."""
        if data.layout == "scenes":
            from tasks.scenes_data.labels import scene_label_samples

            return scene_label_samples(data, split, data.options["track"])
        from tasks.classification.data import folder_samples

        return folder_samples(data, split)

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the classes with their texts, and the texts beside the training images."""
        from tasks.classification.data import label_spec

        return label_spec(self.name, data, training)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """Known on Scenes, where every cause of a label is."""
        if data.layout != "scenes":
            return {}
        from tasks.scenes_data.labels import scene_label_ceilings

        return scene_label_ceilings(data, split, samples)

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Top-1, or the mean average precision where images have several classes."""
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

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Those of Scenes; an expression of the track `reference` needs a split that was drawn for it."""
        from tasks.scenes_data.open import scene_shifts

        track = data.options.get("track")
        return {} if track == "reference" else scene_shifts(data, reads_text=track == "context")

    def corruptions(self, data: Dataset) -> Mapping[str, Part]:
        """Those of CIFAR-10-C, CIFAR-100-C and ImageNet-C."""
        from tasks.classification.data import corruptions_of

        return corruptions_of(data)

    def chance(self, data: Dataset, samples: Sequence[Sample]) -> float:
        """One of the classes at random (top-1); where images have several classes, a random order of images (mAP)."""
        from tasks.classification.data import chance_of_ranking, label_classes

        classes = label_classes(data)
        return chance_of_ranking(samples) if classes.multilabel else 1 / len(classes)

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Probabilities against labels."""
        from tasks.classification.data import label_classes
        from tasks.classification.scoring import LabelScorer

        return LabelScorer(label_classes(data))

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
    from tasks.scenes_data.labels import TRACKS
    from tasks.scenes_data.open import Variant, open_scenes
    from tasks.scenes_data.wording import lexicon_options

    refuse_settings(context, ("classes",), "is for folders: the classes of Scenes are fixed")
    track = context.settings.get("track", "plain")
    if track not in TRACKS:
        raise UsageError(f"--scenes-track {track}: unknown. {nearest(str(track), TRACKS)}")
    options = {
        "track": track,
        **lexicon_options(context),
        "templates": check_templates(context.settings.get("templates", PLAIN)),
        **agreement_options(context),
    }
    # The refer split was drawn for expressions: more objects, each of them equally likely to be meant.
    split = "refer" if track == "reference" else "test"
    name = agreement_name(f"scenes:{track}", options)
    return open_scenes(context, Variant(name, options, split, training_split=agreement_split(options)))


image_classification = ClassificationTask()
