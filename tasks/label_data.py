"""Labels on disk for both classification tasks: image folders, CIFAR, and the objects of COCO or VOC files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.answers import LABELS
from harness.content import Contents
from harness.errors import DataError, UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Classes, Dataset, Outcome, Prediction, Sample, Target, TaskSpec
from tasks.locations import refuse_settings
from tasks.split_roles import folder_dataset, mixed, part_of, roles_of, stored_split
from tasks.targets import LabelTarget

_UNSEEN_SHARE = 5
"""Every fifth class, in the order of their digests, is unseen where the user names none."""


@dataclass(frozen=True)
class LabelledSplits:
    """The class names and the samples of each stored split."""

    names: tuple[str, ...]
    splits: Mapping[str, list[Sample]]
    digest: Callable[[Contents], str]


def open_label_folder(root: Path, context: DataContext, *, zero_shot: bool) -> Dataset:
    """Open a folder of labelled images in any of the formats; raises DataError for none of them."""
    from tasks.prompts import SIMPLE, check_templates

    options: dict[str, Any] = {
        "format": _format_of(root),
        "templates": check_templates(context.settings.get("templates", SIMPLE)),
        "class_file": _text_of(context.settings.get("classes")),
        "multilabel": not zero_shot,
    }
    if options["format"] in ("cifar", "coco"):
        refuse_settings(context, ("classes",), f"is for folders whose files do not name their classes; {root}'s do")
    found = _read(root, options, context.cache)
    if not _is_multilabel(options):
        options["unseen"] = _unseen(root, found, context.settings.get("unseen"), zero_shot)
    roles = roles_of(found.splits, context.split)
    digest = _digest(found, options, Contents(context.cache, context.progress))
    return folder_dataset(root, roles, "labels", digest, options=options, cache=context.cache)


def folder_samples(data: Dataset, split: str) -> list[Sample]:
    """Read a split, mixed: on disk classes follow each other, and the first samples would all be of one class.

    Training and selection samples of unseen classes are left out.
    """
    assert data.cache is not None
    found = _read(data.root, data.options, data.cache)
    samples = part_of(data, split, found.splits[stored_split(data, split)])
    unseen = {found.names.index(name) for name in data.options.get("unseen", ())}
    if split in (data.training_split, data.selection_split):
        samples = [sample for sample in samples if sample.target.label not in unseen]
    if not samples:
        raise DataError(f"{data.root}: the split {split} has no samples. Choose another with --split.")
    return mixed(samples)


def label_classes(data: Dataset) -> Classes:
    """The classes of a data set, worded by its lexicon or its templates."""
    from tasks.prompts import fill, read_templates

    templates = read_templates(data.options["templates"])
    if data.layout == "scenes":
        return _scene_classes(data, templates)
    assert data.cache is not None
    names = _read(data.root, data.options, data.cache).names
    unseen = set(data.options.get("unseen", ()))
    return Classes(
        names=names,
        texts=tuple(fill(templates, [spoken(name)]) for name in names),
        seen=tuple(name not in unseen for name in names),
        multilabel=_is_multilabel(data.options),
    )


def label_spec(task: str, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
    """Say what models must know: classes, training labels, and the texts beside the images."""
    texts = tuple(sample.text for sample in training if sample.text is not None)
    return TaskSpec(task, tuple(sample.target for sample in training), LABELS, label_classes(data), texts)


def quick_label_score(predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
    """Top-1, or mean average precision over the classes that occur; 0..1."""
    import numpy as np

    from harness.metrics.multilabel import multilabel_statistics

    scores = np.asarray(predictions, dtype=np.float64)
    if not targets[0].labels:
        return float(np.mean(scores.argmax(axis=1) == np.array([target.label for target in targets])))
    labels = np.array([target.labels for target in targets], dtype=np.int8)
    names = [str(index) for index in range(labels.shape[1])]
    mean = multilabel_statistics(scores, labels, names)["mAP"]
    return float(mean.value)


def chance_of_ranking(samples: Sequence[Sample]) -> float:
    """What mAP is on average for images in random order, exactly; over the classes that occur.

    Of N images n have a class: (H_N + (n - 1) / (N - 1) (N - H_N)) / N with H_N = 1 + 1/2 + ... + 1/N (Bestgen 2015,
    Prague Bulletin of Mathematical Linguistics 103). That is above n / N, by much where a class is rare.
    """
    import numpy as np

    found = np.array([sample.target.labels for sample in samples], dtype=np.int64).sum(axis=0)
    count, harmonic = len(samples), float((1 / np.arange(1, len(samples) + 1)).sum())
    others = (found[found > 0] - 1) / max(1, count - 1)
    return float(np.mean((harmonic + others * (count - harmonic)) / count))


def read_label_predictions(path: Path, classes: Classes) -> list[Outcome]:
    """Read predictions made elsewhere: a label a sample becomes probability 1."""
    from tasks.formats.predictions import read_label_answers

    return read_label_answers(path, classes.names, several=classes.multilabel)


def spoken(name: str) -> str:
    """Write a class name as text: underscores are spaces."""
    return name.replace("_", " ")


def _scene_classes(data: Dataset, templates: Sequence[str]) -> Classes:
    from tasks.prompts import fill
    from tasks.scene_labels import CLOSED_KINDS, OPEN_KINDS, kind_classes, shape_classes
    from tasks.scenes.class_texts import class_texts
    from tasks.scenes.factors import SHAPES

    track = data.options.get("track")
    if track == "reference":
        return shape_classes([fill(templates, [shape]) for shape in SHAPES])
    worded = class_texts(data.options["lexicon"])
    kinds = OPEN_KINDS if track is None else CLOSED_KINDS
    return kind_classes(kinds, [fill(templates, worded[kind.name]) for kind in kinds])


def _format_of(root: Path) -> str:
    """Tell a folder's format by what is in it; raises DataError naming what is understood."""
    from tasks.formats.cifar import find_cifar
    from tasks.formats.image_folder import is_image_folder

    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder of images by class, CIFAR, COCO or VOC.")
    if find_cifar(root) is not None:
        return "cifar"
    if (root / "annotations").is_dir():
        return "coco"
    if is_image_folder(root):
        return "image-folder"
    from tasks.formats.voc import is_voc

    if is_voc(root):
        return "voc"
    seen = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{root} has no labels in a format that is known (seen: {seen}). Wanted: train/CLASS/IMAGE and val/ or test/ "
        "likewise, the files of CIFAR-10 or CIFAR-100, annotations/instances_*.json (COCO), or VOC's ImageSets/."
    )


def _read(root: Path, options: Any, cache: Path) -> LabelledSplits:
    from tasks.formats.class_files import read_class_file
    from tasks.formats.image_folder import digest_of_image_folder, read_image_folder

    if options["format"] in ("coco", "voc"):
        return _read_objects(root, options)
    if options["format"] == "cifar":
        from tasks.formats.cifar import read_cifar

        folder = read_cifar(root, cache)
    else:
        file = read_class_file(Path(options["class_file"])) if options["class_file"] else None
        folder = read_image_folder(root, file)
    splits = {
        split: [
            Sample(image.image_id, image.path, LabelTarget(image.label, image_id=image.image_id)) for image in images
        ]
        for split, images in folder.splits.items()
    }
    return LabelledSplits(folder.class_names, splits, lambda contents: digest_of_image_folder(folder, contents))


def _read_objects(root: Path, options: Any) -> LabelledSplits:
    """Labels from boxes: every category that is in the image, or for one label the one that covers most of it."""
    from tasks.object_data import read_objects
    from tasks.stored_splits import LazySplits

    class_file = options["class_file"]
    found = read_objects(root, options["format"], Path(class_file) if class_file else None)

    def labelled(split: str) -> list[Sample]:
        part = found.splits[split]
        return [sample for i in range(len(part.images)) if (sample := _object_sample(part, i, options))]

    return LabelledSplits(found.names, LazySplits(tuple(found.splits), labelled), found.digest)


def _object_sample(part: Any, position: int, options: Any) -> Sample | None:
    import numpy as np

    image, objects = part.images[position], part.objects[position]
    own = ~objects.iscrowd
    if options["multilabel"]:
        labels = np.zeros(len(part.categories), dtype=np.int64)
        shown = own | (part.crowd_label == 1)  # a crowd of people shows people; what VOC calls difficult does not count
        labels[objects.category_index[shown]] = 1
        target = LabelTarget(-1, tuple(labels.tolist()), image_id=image.sample_id)
        return Sample(image.sample_id, image.path, target)
    if not own.any():
        return None
    covered = np.bincount(objects.category_index[own], weights=objects.areas[own], minlength=len(part.categories))
    target = LabelTarget(int(covered.argmax()), image_id=image.sample_id)
    return Sample(image.sample_id, image.path, target)


def _is_multilabel(options: Mapping[str, Any]) -> bool:
    return bool(options["multilabel"]) and options["format"] in ("coco", "voc")


def _unseen(root: Path, found: LabelledSplits, wish: Any, zero_shot: bool) -> tuple[str, ...]:
    """The classes without training samples: those that train lacks, and for zero-shot those that the user names.

    Where train has all of them and the user names none, every fifth by digest is left out of training.
    """
    from tasks.formats.image_folder import ordered_by_hash

    if len(found.names) < 2:
        raise DataError(f"{root} is one-class data (only '{found.names[0]}'): there is nothing to tell apart.")
    trained = {sample.target.label for sample in found.splits["train"]}
    lacking = {name for index, name in enumerate(found.names) if index not in trained}
    chosen = lacking
    if zero_shot and wish is not None:
        chosen = lacking | _named(wish, found.names)
    elif zero_shot and not lacking:
        chosen = set(ordered_by_hash(found.names)[: max(1, len(found.names) // _UNSEEN_SHARE)])
    if len(chosen) == len(found.names):
        raise UsageError(f"task.unseen leaves no class of {root} with training samples. Name fewer.")
    return tuple(sorted(chosen))


def _named(wish: Any, names: Sequence[str]) -> set[str]:
    """Read class names joined by +, or listed; raises UsageError for one that is unknown, and for none."""
    listed = wish if isinstance(wish, list | tuple) else str(wish).split("+")
    chosen = {str(name).strip() for name in listed} - {""}
    if not chosen:
        raise UsageError("task.unseen names no class. Join names with +, or leave it out.")
    for name in sorted(chosen):
        if name not in names:
            raise UsageError(f"task.unseen: no class '{name}'. {nearest(name, names)}")
    return chosen


def _digest(found: LabelledSplits, options: Any, contents: Contents) -> str:
    from tasks.embedded import text_digest

    return text_digest(found.digest(contents), {name: value for name, value in options.items() if name != "class_file"})


def _text_of(value: Any) -> str | None:
    return None if value is None else str(Path(str(value)).expanduser().resolve())
