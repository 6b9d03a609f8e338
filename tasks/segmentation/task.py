"""The task `coco-segmentation`: of which class is each pixel, and of which object?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import MAPS
from harness.errors import UsageError
from harness.protocols import DataContext
from harness.sample import Classes, Dataset, Outcome, Prediction, Sample, Target, TaskSpec, targets_of

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.protocols import Scorer
    from tasks.formats.coco_entries import Category
    from tasks.formats.label_maps import LabelScheme


@dataclass(frozen=True)
class SegmentationTask:
    """Semantic segmentation, and panoptic quality where the data has segments and `panoptic` is not false.

    A model answers with a label map. For panoptic quality its kinds of stuff are one segment each, and of its things
    each connected part (through sides) of at least 16 px at the image's size is one. `novel` names classes of real
    data, joined by +, whose pixels are ignored in training.
    """

    name: str = "coco-segmentation"
    summary: str = "tell the class of each pixel (COCO panoptic and stuff, VOC, ADE20K and CamVid folders, Scenes)"
    version: int = 1
    metrics: tuple[str, ...] = (
        "mIoU", "pixel-accuracy", "mean-accuracy", "mIoU-seen", "mIoU-unseen", "hIoU", "PQ", "SQ", "RQ", "PQ-Th",
        "PQ-St",
    )  # fmt: skip
    settings: tuple[str, ...] = ("templates", "lexicon", "test_lexicon", "classes", "novel", "panoptic")
    learnable_score: float = 0.5
    answers: str = MAPS

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.datasets.locations import locate_data, refuse_settings
        from tasks.datasets.prompts import PLAIN, SIMPLE, check_templates
        from tasks.scenes_data.objects import open_scene_objects
        from tasks.segmentation.data import open_map_folder

        folder = locate_data(context)
        templates = check_templates(context.settings.get("templates", PLAIN if folder is None else SIMPLE))
        if folder is not None:
            refuse_settings(context, ("lexicon", "test_lexicon"), f"is for Scenes, and {folder} is not")
            return open_map_folder(folder, context, templates, panoptic=_wants_panoptic(context.settings))
        return open_scene_objects(context, templates)

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """Whether segments are scored too; raises UsageError for what is neither yes nor no."""
        return {"panoptic": _wants_panoptic(context.settings)}

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; the target is a `MapTarget`, which reads its map when it is asked for it."""
        if data.layout == "scenes":
            return scene_map_samples(data, split)
        from tasks.segmentation.data import map_samples

        return map_samples(data, split)

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the classes with their texts, and the training maps."""
        return TaskSpec(self.name, targets_of(training), MAPS, segmentation_classes(data))

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Mean IoU."""
        from tasks.segmentation.scoring import quick_mean_iou

        return quick_mean_iou(predictions, targets)

    def moved(self, target: Target, affine: Affine) -> Target:
        """Move the label map and the segments."""
        from tasks.targets.moved import moved_map

        return moved_map(target, affine)

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Those of Scenes."""
        from tasks.scenes_data.open import scene_shifts

        return scene_shifts(data, reads_text=False)

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Pixels, and segments where the data has them."""
        from tasks.segmentation.scoring import SegmentationScorer
        from tasks.segmentation.segments import PanopticClasses

        scheme, categories = _meaning(data)
        panoptic = PanopticClasses(categories) if categories and _wants_panoptic(data.scoring) else None
        return SegmentationScorer(segmentation_classes(data), scheme, panoptic)

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read a folder of label images, or COCO's panoptic results."""
        from tasks.segmentation.results import read_map_results

        return read_map_results(path, _meaning(data)[1])

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read COCO's panoptic annotations alone; images are not looked for."""
        from tasks.segmentation.results import read_map_references

        return read_map_references(path)


def scene_map_samples(data: Dataset, split: str) -> Sequence[Sample]:
    """Read a split of Scenes; parts of a compound split are mixed, so that a limit takes of each."""
    from tasks.datasets.split_roles import mixed
    from tasks.formats.coco_layout import SplitFile
    from tasks.formats.coco_panoptic import read_panoptic
    from tasks.formats.label_maps import LabelEntry, scheme_of_categories
    from tasks.scenes import layout
    from tasks.scenes_data.open import OPEN_PARTS
    from tasks.segmentation.readers import LabelImageReader
    from tasks.targets.targets import MapTarget

    samples: list[Sample] = []
    for part in OPEN_PARTS.get(split, (split,)):
        files = (layout.annotation_file(data.root, "panoptic", part), layout.image_dir(data.root, part))
        panoptic = read_panoptic(SplitFile(part, *files, layout.map_dir(data.root, "panoptic", part)))
        scheme, maps = scheme_of_categories(panoptic.categories), layout.map_dir(data.root, "semantic", part)
        for entry in panoptic.entries:
            reader = LabelImageReader(LabelEntry(str(entry.image_id), entry.path, maps / entry.path.name), scheme)
            target = MapTarget(str(entry.image_id), entry.width, entry.height, reader, entry)
            samples.append(Sample(str(entry.image_id), entry.path, target))
    return mixed(samples) if split in OPEN_PARTS else samples


def segmentation_classes(data: Dataset) -> Classes:
    """The classes of a data set, worded by its lexicon or its templates."""
    if data.layout == "scenes":
        return _scene_classes(data)
    if data.layout == "references":
        from tasks.datasets.novel_classes import named_classes

        names, wish = _meaning(data)[0].class_names, data.options.get("novel")
        novel = () if wish is None else named_classes(wish, names)
        return Classes(names, tuple((name,) for name in names), tuple(name not in novel for name in names))
    from tasks.segmentation.data import map_classes

    return map_classes(data)


def _scene_classes(data: Dataset) -> Classes:
    """The 40 kinds, and 6 grounds and 5 skies, which every lexicon calls by their names and which are all seen."""
    from tasks.datasets.prompts import fill, read_templates
    from tasks.scenes.coco_rows import STUFF
    from tasks.scenes_data.objects import scene_object_classes

    kinds, templates = scene_object_classes(data), read_templates(data.options["templates"])
    names = [name for _, name, _ in STUFF]
    named = tuple(fill(templates, [name]) for name in names)
    width, nothing = len(kinds.attributes[0]), (0.0,) * len(names)
    return Classes(
        names=(*kinds.names, *names),
        texts=(*kinds.texts, *named),
        test_texts=(*kinds.test_texts, *named) if kinds.test_texts else (),
        seen=(*kinds.seen, *(True for _ in names)),
        attributes=(
            *(row + nothing for row in kinds.attributes),
            *((0.0,) * width + tuple(float(name == other) for other in names) for name in names),
        ),
    )


def _meaning(data: Dataset) -> tuple[LabelScheme, tuple[Category, ...] | None]:
    """What label values mean, and the categories of things and stuff by class index where there are such."""
    from tasks.formats.coco_entries import Category
    from tasks.formats.label_maps import scheme_of_categories
    from tasks.segmentation.data import map_folder_of

    if data.layout == "maps":
        folder = map_folder_of(data)
        return folder.scheme, folder.categories
    if data.layout == "references":
        from tasks.segmentation.results import read_panoptic_alone

        categories = read_panoptic_alone(Path(data.options["references"])).categories
    else:
        from tasks.scenes.coco_rows import panoptic_categories

        rows = panoptic_categories()
        categories = tuple(Category(row["id"], row["name"], {"isthing": row["isthing"]}) for row in rows)
    return scheme_of_categories(categories), categories


def _wants_panoptic(settings: Mapping[str, Any]) -> bool:
    wish = settings.get("panoptic", True)
    if not isinstance(wish, bool):
        raise UsageError(f"task.panoptic = {wish!r}; wanted true or false.")
    return wish


coco_segmentation = SegmentationTask()
