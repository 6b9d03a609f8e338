"""Reads labelled images from disk in any of the formats: image folders, CIFAR, and the objects of COCO or VOC files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.condition import Part
from harness.errors import DataError
from harness.sample import Note, Sample
from harness.storage.content import Contents
from tasks.formats.image_folder import ALL
from tasks.targets.targets import LabelTarget

if TYPE_CHECKING:
    from tasks.formats.class_names import ClassFile
    from tasks.formats.coco_instances import Instances
    from tasks.formats.image_folder import LabelledImage

CIFAR, COCO, VOC, IMAGE_FOLDER = "cifar", "coco", "voc", "image-folder"
CIFAR_C, IMAGENET_C = "cifar-c", "imagenet-c"


@dataclass(frozen=True)
class LabelledSplits:
    """The class names and the samples of each stored split; `folders` are those of the classes where names are others.

    `notes` are made when they are asked for: they may need all splits.
    """

    names: tuple[str, ...]
    splits: Mapping[str, list[Sample]]
    digest: Callable[[Contents], str]
    notes: Callable[[], tuple[Note, ...]]
    folders: tuple[str, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    """The corruption and severity of each split, where splits are corrupted copies."""


def label_format(root: Path) -> str:
    """Tell a folder's format by what is in it; raises DataError naming what is understood."""
    from tasks.formats.cifar import find_cifar
    from tasks.formats.corrupted_copies import find_imagenet_c, is_cifar_c
    from tasks.formats.image_folder import is_image_folder

    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder of images by class, CIFAR, COCO or VOC.")
    if find_cifar(root) is not None:
        return CIFAR
    if is_cifar_c(root):
        return CIFAR_C
    if (root / "annotations").is_dir():
        return COCO
    if is_image_folder(root):
        return IMAGE_FOLDER
    if find_imagenet_c(root):
        return IMAGENET_C
    from tasks.formats.voc import is_voc

    if is_voc(root):
        return VOC
    seen = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{root} has no labels in a format that is known (seen: {seen}). Wanted: train/CLASS/IMAGE and val/ or test/ "
        "likewise, the files of CIFAR-10 or CIFAR-100, annotations/instances_*.json (COCO), VOC's ImageSets/; or, to "
        "be evaluated on only, CIFAR-10-C's arrays or ImageNet-C's CORRUPTION/SEVERITY/CLASS/IMAGE."
    )


def read_labels_of(root: Path, options: Mapping[str, Any], cache: Path) -> LabelledSplits:
    """Read a folder in the format of `options`; splits of COCO and VOC are read when they are asked for."""
    from tasks.formats.class_names import read_class_file
    from tasks.formats.image_folder import digest_of_image_folder, read_image_folder

    if options["format"] in (COCO, VOC):
        return _read_objects(root, options, Contents(cache))
    if options["format"] in (CIFAR_C, IMAGENET_C):
        return _read_copies(root, options, cache)
    if options["format"] == CIFAR:
        from tasks.formats.cifar import read_cifar

        folder = read_cifar(root, cache)
    else:
        file = read_class_file(Path(options["class_file"])) if options["class_file"] else None
        folder = read_image_folder(root, file, whole=options.get("whole", False))
    splits = {split: _samples(images) for split, images in folder.splits.items()}
    return LabelledSplits(
        folder.class_names,
        splits,
        lambda contents: digest_of_image_folder(folder, contents),
        lambda: folder.notes,
        folder.folders,
    )


def read_class_names(root: Path, options: Mapping[str, Any], cache: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the class names of a folder that has been opened, and their folders where names are others."""
    from tasks.formats.class_names import read_class_file
    from tasks.formats.image_folder import read_class_folders

    if options["format"] != IMAGE_FOLDER:
        found = read_labels_of(root, options, cache)
        return found.names, found.folders
    return read_class_folders(root, read_class_file(Path(options["class_file"])) if options["class_file"] else None)


def _samples(images: Iterable[LabelledImage]) -> list[Sample]:
    return [Sample(image.image_id, image.path, LabelTarget(image.label, image_id=image.image_id)) for image in images]


def _read_copies(root: Path, options: Mapping[str, Any], cache: Path) -> LabelledSplits:
    """Corrupted copies: a split for each corruption and severity, read when it is asked for."""
    from tasks.formats.class_names import read_class_file

    if options["format"] == CIFAR_C:
        return _cifar_copies(root, cache)
    return _imagenet_copies(root, read_class_file(Path(options["class_file"])) if options["class_file"] else None)


def _cifar_copies(root: Path, cache: Path) -> LabelledSplits:
    from tasks.datasets.stored_splits import LazySplits
    from tasks.formats.corrupted_copies import read_cifar_c, write_cifar_c
    from tasks.formats.digests import digest_of_files

    found = read_cifar_c(root)
    facts = [repr(found.class_names), repr(found.labels.tolist())]
    read = LazySplits(tuple(found.parts), lambda split: _samples(write_cifar_c(found, split, cache)))
    text = f"labels are those of {len(found.class_names)} classes from 0 ('{found.class_names[0]}')"
    return LabelledSplits(
        found.class_names,
        read,
        lambda contents: digest_of_files(facts, (), found.arrays.items(), contents),
        lambda: (Note(text, count=len(found.class_names)),),
        parts=found.parts,
    )


def _imagenet_copies(root: Path, file: ClassFile | None) -> LabelledSplits:
    from tasks.datasets.stored_splits import LazySplits
    from tasks.formats.corrupted_copies import find_imagenet_c, imagenet_c_parts, read_imagenet_c, split_of
    from tasks.formats.image_folder import digest_of_image_folder

    folders = find_imagenet_c(root)
    parts = {split_of(part): part for part in imagenet_c_parts(folders)}
    stored = LazySplits(tuple(parts), lambda split: read_imagenet_c(folders, split, file))
    first = next(iter(parts))

    def digest(contents: Contents) -> str:
        whole = [f"{split} {digest_of_image_folder(stored[split], contents)}" for split in parts]
        return hashlib.sha256("\n".join(whole).encode()).hexdigest()

    def read(split: str) -> list[Sample]:
        if stored[split].class_names != stored[first].class_names:
            raise DataError(f"{root}: {split} has other class folders than {first}. List all with --classes FILE.")
        return _samples(replace(i, image_id=f"{split}/{i.image_id}") for i in stored[split].splits[ALL])

    def notes() -> tuple[Note, ...]:
        return tuple(replace(note, split=split) for split in parts for note in stored[split].notes)

    names = stored[first].class_names
    return LabelledSplits(names, LazySplits(tuple(parts), read), digest, notes, stored[first].folders, parts)


def is_multilabel(options: Mapping[str, Any]) -> bool:
    """Tell whether images have any number of classes: those with objects, unless one label is asked for."""
    return bool(options["multilabel"]) and options["format"] in (COCO, VOC)


def _read_objects(root: Path, options: Mapping[str, Any], contents: Contents) -> LabelledSplits:
    """Labels from boxes: every category that is in the image, or for one label the one that covers most of it."""
    from tasks.datasets.stored_splits import LazySplits
    from tasks.detection.data import read_objects

    class_file = options["class_file"]
    found = read_objects(root, options["format"], Path(class_file) if class_file else None, contents)
    label = _several_labels if options["multilabel"] else _one_label
    note = _unknown_labels if options["multilabel"] else _left_out

    def labelled(split: str) -> list[Sample]:
        return label(found.splits[split])

    def notes() -> tuple[Note, ...]:
        own = [text for split in found.splits for text in note(found.splits[split], split)]
        return (*found.notes_of_annotations, *own)

    return LabelledSplits(found.names, LazySplits(tuple(found.splits), labelled), found.digest, notes)


def _several_labels(part: Instances) -> list[Sample]:
    """A crowd of people shows people; whether an image shows what is marked difficult alone (VOC) is not known."""
    from tasks.formats.coco_instances import image_labels

    return [
        Sample(image.sample_id, image.path, LabelTarget(-1, tuple(labels), image_id=image.sample_id))
        for image, labels in zip(part.images, image_labels(part).tolist(), strict=True)
    ]


def _unknown_labels(part: Instances, split: str) -> list[Note]:
    from harness.answers import UNKNOWN
    from tasks.formats.coco_instances import image_labels

    labels = image_labels(part)
    count = int((labels == UNKNOWN).sum())
    if not count:
        return []
    text = f"{count} of {labels.size} labels are unknown (objects marked difficult): answers to them are not scored"
    return [Note(text, split, count, labels.size)]


def _one_label(part: Instances) -> list[Sample]:
    """Leave out images without an object, and those that two classes cover equally: their order would decide."""
    found = []
    for image, classes in zip(part.images, _largest_classes(part), strict=True):
        if len(classes) == 1:
            found.append(Sample(image.sample_id, image.path, LabelTarget(classes[0], image_id=image.sample_id)))
    return found


def _left_out(part: Instances, split: str) -> list[Note]:
    counts = [len(classes) for classes in _largest_classes(part)]
    total, empty, tied = len(counts), sum(n == 0 for n in counts), sum(n > 1 for n in counts)
    texts = {
        f"{empty} of {total} images show no object that counts (crowds and difficult ones do not), so have no class "
        "and are left out": empty,
        f"{tied} of {total} images are covered as much by one class as by another, so have no largest and are left "
        "out": tied,
    }
    return [Note(text, split, count, total) for text, count in texts.items() if count]


def _largest_classes(part: Instances) -> list[Sequence[int]]:
    """The classes whose objects cover most of each image: several where they cover as much, none without objects."""
    import numpy as np

    found: list[Sequence[int]] = []
    for objects in part.objects:
        own = ~objects.iscrowd
        covered = np.bincount(objects.category_index[own], weights=objects.areas[own], minlength=len(part.categories))
        there = np.bincount(objects.category_index[own], minlength=len(part.categories)) > 0
        found.append(np.flatnonzero(there & (covered == covered.max())).tolist())
    return found
