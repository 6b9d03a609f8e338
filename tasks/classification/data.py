"""Labels on disk for both classification tasks: image folders, CIFAR, and the objects of COCO or VOC files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import LABELS, UNKNOWN, answered_class, is_label
from harness.condition import Part
from harness.errors import DataError, UsageError, nearest
from harness.protocols import DataContext
from harness.sample import (
    Classes,
    Dataset,
    FileOutcomes,
    Note,
    Prediction,
    Sample,
    Target,
    TaskSpec,
    targets_of,
    texts_of,
)
from harness.storage.content import Contents
from tasks.classification.readers import (
    CIFAR,
    CIFAR_C,
    COCO,
    IMAGE_FOLDER,
    VOC,
    LabelledSplits,
    is_multilabel,
    label_format,
    read_class_names,
    read_labels_of,
)
from tasks.classification.unseen_classes import unseen_classes
from tasks.datasets.locations import refuse_settings
from tasks.datasets.prompts import spoken
from tasks.datasets.shared_images import KnownImage, coco_image, shared_images
from tasks.datasets.split_roles import Roles, folder_dataset, mixed, part_of, roles_of, stored_split

if TYPE_CHECKING:
    from tasks.formats.label_outcomes import LabelOutcomes


def open_label_folder(root: Path, context: DataContext, *, zero_shot: bool) -> Dataset:
    """Open a folder of labelled images in any of the formats; raises DataError for none of them."""
    from tasks.datasets.prompts import SIMPLE, check_templates

    options: dict[str, Any] = {
        "format": label_format(root),
        "templates": check_templates(context.settings.get("templates", SIMPLE)),
        "class_file": _text_of(context.settings.get("classes")),
        "multilabel": not zero_shot,
    }
    if options["format"] in (CIFAR, COCO) or (options["format"] == CIFAR_C and not context.evaluate_only):
        refuse_settings(context, ("classes",), f"is for folders whose files do not name their classes; {root}'s do")
    if options["format"] == IMAGE_FOLDER and _is_taken_whole(root, context):
        options["whole"] = True
    found = read_labels_of(root, options, context.cache)
    roles = copies_roles(found.parts) if found.parts else roles_of(root, found.splits, context.split)
    if not is_multilabel(options):
        options["unseen"] = unseen_classes(root, found, context, zero_shot)
    if found.parts:
        options["corruptions"] = {split: (part.name, part.severity) for split, part in found.parts.items()}
    contents = Contents.of_one_opening(context.cache, context.progress)
    digest, notes = _digest(found, options, contents), (*found.notes(), *_shared_images(found, options, contents))
    return folder_dataset(
        root, roles, "labels", digest, options=options, cache=context.cache, notes=notes, opened=found
    )


def _shared_images(found: LabelledSplits, options: Mapping[str, Any], contents: Contents) -> tuple[Note, ...]:
    """Say which images stand in more than one split; names mean images in COCO and VOC alone.

    Corrupted copies are of the same images by design, and none of them is trained on.
    """
    if found.parts:
        return ()

    def known(sample: Sample) -> KnownImage:
        if options["format"] == COCO:
            return coco_image(sample.sample_id, sample.image)
        return KnownImage(sample.sample_id, sample.image, sample.sample_id if options["format"] == VOC else "")

    return shared_images({split: list(map(known, samples)) for split, samples in found.splits.items()}, contents)


def corruptions_of(data: Dataset) -> dict[str, Part]:
    """The corruption and severity of each split of a data set that holds corrupted copies."""
    return {split: Part(*part) for split, part in data.options.get("corruptions", {}).items()}


def copies_roles(splits: Collection[str]) -> Roles:
    """Corrupted copies are there to be evaluated on only."""
    return Roles(tuple(splits), tuple(splits), None, next(iter(splits)), None)


def label_reading(context: DataContext) -> dict[str, str]:
    """How labels in a file of predictions are meant, where the user says so; raises UsageError."""
    from tasks.formats.label_column import WISHES

    wish = context.settings.get("labels")
    if wish is None:
        return {}
    if wish not in WISHES:
        raise UsageError(f"task.labels is {wish}. {nearest(str(wish), WISHES)} It says how labels of a file are meant.")
    return {"labels": str(wish)}


def folder_samples(data: Dataset, split: str) -> list[Sample]:
    """Read a split, mixed: on disk classes follow each other, and the first samples would all be of one class.

    Training and selection samples of unseen classes are left out.
    """
    found = _found(data)
    samples = part_of(data, split, found.splits[stored_split(data, split)])
    unseen = {found.names.index(name) for name in data.options.get("unseen", ())}
    if split in (data.training_split, data.selection_split):
        samples = [sample for sample in samples if sample.target.label not in unseen]
    if not samples:
        raise DataError(f"{data.root}: the split {split} has no samples. Choose another with --split.")
    return mixed(samples)


def label_classes(data: Dataset) -> Classes:
    """The classes of a data set, worded by its lexicon or its templates."""
    from tasks.datasets.prompts import fill, read_templates

    templates = read_templates(data.options["templates"])
    if data.layout == "scenes":
        return _scene_classes(data, templates)
    names, _ = _class_names(data)
    unseen = set(data.options.get("unseen", ()))
    return Classes(
        names=names,
        texts=tuple(fill(templates, [spoken(name)]) for name in names),
        seen=tuple(name not in unseen for name in names),
        multilabel=is_multilabel(data.options),
    )


def label_spec(task: str, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
    """Say what models must know: classes, training labels, and the texts beside the images."""
    return TaskSpec(task, targets_of(training), LABELS, label_classes(data), texts_of(training))


def quick_label_score(predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
    """Top-1, of labels alone too, or mean average precision over the classes that occur; 0..1.

    Of equal probabilities none is the answer, so that checkpoints are not selected by the order of the classes.
    """
    import numpy as np

    from harness.metrics.labels.multilabel import multilabel_statistics
    from harness.metrics.labels.probabilities import top_class

    if not targets[0].labels:
        labels_alone = any(is_label(answer) for answer in predictions)
        found = list(map(answered_class, predictions)) if labels_alone else top_class(np.asarray(predictions, float))
        return float(np.mean(np.asarray(found) == np.array([target.label for target in targets])))
    if any(is_label(answer) for answer in predictions):
        raise DataError("An answer is one label, and images have several here; wanted a probability for each class.")
    labels = np.array([target.labels for target in targets], dtype=np.int8)
    names = [str(index) for index in range(labels.shape[1])]
    mean = multilabel_statistics(np.asarray(predictions, dtype=np.float64), labels, names)["mAP"]
    return float(mean.value)


def chance_of_ranking(samples: Sequence[Sample]) -> float:
    """What mAP is on average for images in random order, exactly; over the classes that occur.

    Of N images n have a class: (H_N + (n - 1) / (N - 1) (N - H_N)) / N with H_N = 1 + 1/2 + ... + 1/N (Bestgen 2015,
    Prague Bulletin of Mathematical Linguistics 103). That is above n / N, by much where a class is rare. Images of
    which a class is not known are no part of its ranking.
    """
    import numpy as np

    labels = np.array([sample.target.labels for sample in samples], dtype=np.int64)
    found, ranked = (labels == 1).sum(axis=0), (labels != UNKNOWN).sum(axis=0)
    occurring = found > 0
    found, ranked = found[occurring], ranked[occurring]
    harmonic = np.cumsum(1 / np.arange(1, len(samples) + 1))[ranked - 1]
    others = (found - 1) / np.maximum(1, ranked - 1)
    return float(np.mean((harmonic + others * (ranked - harmonic)) / ranked))


def begin_label_predictions(path: Path) -> Callable[[Dataset], FileOutcomes | LabelOutcomes]:
    """Read predictions made elsewhere; returns what makes answers of them: probabilities, or labels, which stay labels.

    Raises DataError for a file that cannot be read.
    """
    from tasks.formats.label_column import LabelForms
    from tasks.formats.predictions import label_answers, read_label_table

    table = read_label_table(path)

    def answers(data: Dataset) -> FileOutcomes | LabelOutcomes:
        classes = label_classes(data)
        folders = () if data.layout == "scenes" else _class_names(data)[1]
        forms = LabelForms(classes.names, folders)
        return label_answers(table, forms, several=classes.multilabel, wish=data.scoring.get("labels"))

    return answers


def _found(data: Dataset) -> LabelledSplits:
    """What was read when the data was opened; in another process it is read again."""
    if isinstance(data.opened, LabelledSplits):
        return data.opened
    assert data.cache is not None
    return read_labels_of(data.root, data.options, data.cache)


def _class_names(data: Dataset) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names, and the class folders where names are others."""
    if isinstance(data.opened, LabelledSplits):
        return data.opened.names, data.opened.folders
    assert data.cache is not None
    return read_class_names(data.root, data.options, data.cache)


def _scene_classes(data: Dataset, templates: Sequence[str]) -> Classes:
    from tasks.datasets.prompts import fill
    from tasks.scenes.factors import SHAPES
    from tasks.scenes_data.labels import CLOSED_KINDS, OPEN_KINDS, shape_classes
    from tasks.scenes_data.wording import worded_kinds

    track = data.options.get("track")
    if track == "reference":
        return shape_classes([fill(templates, [shape]) for shape in SHAPES])
    return worded_kinds(data, OPEN_KINDS if track is None else CLOSED_KINDS)


def _is_taken_whole(root: Path, context: DataContext) -> bool:
    """Tell whether a folder of class folders is to be evaluated on as it is, instead of being divided."""
    from tasks.formats.image_folder import ALL, is_flat

    return (context.split == ALL or context.evaluate_only) and is_flat(root)


def _digest(found: LabelledSplits, options: Any, contents: Contents) -> str:
    from tasks.scenes_data.open import scene_text_digest

    return scene_text_digest(
        found.digest(contents), {name: value for name, value in options.items() if name != "class_file"}
    )


def _text_of(value: Any) -> str | None:
    return None if value is None else str(Path(str(value)).expanduser().resolve())
