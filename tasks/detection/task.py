"""The task `coco-detection`: which objects are in an image, and where?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.answers import BOXES
from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import AnswerEvidence, Classes, Dataset, Outcome, Prediction, Sample, Target, TaskSpec, targets_of
from tasks.scenes_data.objects import open_scene_objects, scene_object_classes

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.protocols import Scorer

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"metric_engine": ("hotcoco", "pycocotools"), "iou": ("bbox", "segm")}
)
"""How scores are computed: the engine moves none of them, and what is compared has a signature of its own."""


@dataclass(frozen=True)
class DetectionTask:
    """Object detection on COCO 2017, 2014 or its layout, Pascal VOC, or Scenes with kinds never seen in training.

    `novel` names categories of real data, joined by +, whose training objects are removed; `ovr-coco` are those of
    Zareian et al. 2021 (arXiv 2011.10678). `iou` is what `bench score` compares: bbox or segm.
    """

    name: str = "coco-detection"
    summary: str = "find the objects of an image (COCO instances, Pascal VOC, Scenes); open-vocabulary base and novel"
    version: int = 1
    metrics: tuple[str, ...] = (
        "AP", "AP50", "AP75", "AP-small", "AP-medium", "AP-large", "AR-1", "AR-10", "AR-100", "AR-small", "AR-medium",
        "AR-large", "AP-base", "AP-novel",
    )  # fmt: skip
    settings: tuple[str, ...] = ("templates", "lexicon", "test_lexicon", "metric_engine", "novel", "classes", "iou")
    learnable_score: float = 0.5
    answers: str = BOXES

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.datasets.locations import locate_data, refuse_settings
        from tasks.datasets.prompts import PLAIN, SIMPLE, check_templates
        from tasks.detection.data import open_object_folder

        folder = locate_data(context)
        templates = check_templates(context.settings.get("templates", PLAIN if folder is None else SIMPLE))
        if folder is None:
            return open_scene_objects(context, templates)
        refuse_settings(context, ("lexicon", "test_lexicon"), f"is for Scenes, and {folder} is not")
        return open_object_folder(folder, context, {"templates": templates})

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """The engine, and what is compared; raises UsageError for a value that is not known."""
        return {name: _choice(context.settings, name) for name in CHOICES}

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; the target is a `BoxTarget`, and the sample's id its image's."""
        if data.layout == "scenes":
            return scene_object_samples(data, split)
        from tasks.detection.data import object_samples

        return object_samples(data, split)

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the classes with their texts, and the training objects."""
        if (iou := _choice(data.scoring, "iou")) != "bbox":
            raise UsageError(
                f"task.iou={iou}: models answer with boxes, which no mask can be compared with. Leave "
                "it out of `bench run`; it is for `bench score` with results that hold masks."
            )
        return TaskSpec(self.name, targets_of(training), BOXES, detection_classes(data))

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """AP50 of boxes."""
        from tasks.detection.scoring import quick_ap50

        return quick_ap50(predictions, targets)

    def evidence(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Sequence[AnswerEvidence | None]:
        """Where the annotated objects are: their masks, or their boxes where they have none."""
        from tasks.targets.object_masks import mask_of_objects

        found: list[AnswerEvidence | None] = []
        for target in (sample.target for sample in samples):
            mask = target.objects and mask_of_objects(target.objects, target.width_px, target.height_px)
            found.append(None if mask is None else AnswerEvidence(mask, cluster=target.image_id))
        return found

    def moved(self, target: Target, affine: Affine) -> Target:
        """Move boxes and masks."""
        from tasks.targets.moved import moved_boxes

        return moved_boxes(target, affine)

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Those of Scenes."""
        from tasks.scenes_data.open import scene_shifts

        return scene_shifts(data, reads_text=False)

    def slices(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """By the size of the largest object, and by how many there are."""
        from tasks.targets.slices import object_slices

        return object_slices(samples)

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """COCO's evaluation, in the engine that was chosen."""
        from tasks.detection.scoring import DetectionScorer

        return DetectionScorer(
            detection_classes(data), _choice(data.scoring, "metric_engine"), _choice(data.scoring, "iou")
        )

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read COCO's results format: boxes, or masks with `iou` segm."""
        from tasks.detection.results import read_results

        named = data.options.get("format") == "voc"
        return read_results(path, detection_categories(data), _choice(data.scoring, "iou"), named=named)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read COCO's instances alone; images are not looked for."""
        from tasks.detection.results import read_object_references

        return read_object_references(path)


def scene_object_samples(data: Dataset, split: str) -> Sequence[Sample]:
    """Read a split of Scenes; parts of a compound split are mixed, so that a limit takes of each."""
    from tasks.datasets.split_roles import mixed
    from tasks.detection.data import object_samples_of
    from tasks.formats.coco_instances import read_instances
    from tasks.scenes import layout
    from tasks.scenes_data.open import OPEN_PARTS

    samples: list[Sample] = []
    for part in OPEN_PARTS.get(split, (split,)):
        annotations = layout.annotation_file(data.root, "instances", part)
        samples += object_samples_of(read_instances(annotations, layout.image_dir(data.root, part)))
    return mixed(samples) if split in OPEN_PARTS else samples


def detection_categories(data: Dataset) -> tuple[Any, ...]:
    """The categories that class indices stand for, in their order, as COCO's files number them."""
    from tasks.detection.data import object_folder_of
    from tasks.formats.coco_entries import Category

    if data.layout == "references":
        return tuple(Category(number, name, {}) for number, name in data.options["categories"])
    if data.layout == "scenes":
        from tasks.scenes.factors import KINDS

        return tuple(Category(kind.category_id, kind.name, {}) for kind in KINDS)
    kept = data.options["kept"]
    return tuple(category for category in object_folder_of(data).categories if kept is None or category.name in kept)


def detection_classes(data: Dataset) -> Classes:
    """The classes of a data set, worded by its lexicon or its templates."""
    if data.layout == "scenes":
        return scene_object_classes(data)
    if data.layout == "references":
        return _reference_classes(data)
    from tasks.detection.data import object_classes

    return object_classes(data)


def _reference_classes(data: Dataset) -> Classes:
    from tasks.datasets.novel_classes import chosen_categories

    names = tuple(category.name for category in detection_categories(data))
    novel, kept = chosen_categories(data.options.get("novel"), names)
    if kept is not None:
        raise UsageError(
            f"task.novel={data.options['novel']} leaves categories out, which needs --data; with --references name the "
            "novel ones, joined by +."
        )
    return Classes(names, tuple((name,) for name in names), tuple(name not in novel for name in names))


def _choice(settings: Mapping[str, Any], name: str) -> str:
    """Take the engine or the kind of IoU from settings; the first one known is the default."""
    known = CHOICES[name]
    value = str(settings.get(name, known[0]))
    if value not in known:
        raise UsageError(f"--{name.replace('_', '-')} {value}: unknown. {nearest(value, known)}")
    return value


coco_detection = DetectionTask()
