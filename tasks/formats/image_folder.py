"""Folders of images by class, with or without split folders.

    root/{train,val,test}/CLASS/IMAGE      `valid` and `validation` are val; without train there is nothing to train on
    root/CLASS/IMAGE                       split 70/10/20 within each class, by the sha256 of the relative path; or
                                           taken whole, as the split `all`, to be evaluated on only

Images may lie deeper in a class folder, and folders may be linked. Files that are no images, and names that begin with
a dot, are left out, and counted in a note.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, nearest
from harness.sample import Note
from harness.storage.content import Contents
from harness.text.spelling import name_bytes, normal_form, readable_name
from tasks.formats.class_names import ClassFile
from tasks.formats.digests import NOWHERE, digest_of_files
from tasks.formats.image_files import FoundFiles, find_image_files, is_hidden, is_image_name

ALL = "all"
"""The one split of a folder that is taken whole, to be evaluated on only."""
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_ORDER = ("train", "val", "test")
_OTHER_FORMATS = ("annotations", "ImageSets", "trainannot")
_SHARES = {"test": 0.2, "val": 0.1}
_LAYOUTS = "root/{train,val,test}/CLASS/IMAGE or root/CLASS/IMAGE"
ImagesByClass = Mapping[str, Sequence[Path]]
"""The images of each class folder, by the folder's name in its normal form."""


@dataclass(frozen=True)
class LabelledImage:
    """An image and the index of its class; the id is its path below the root."""

    image_id: str
    path: Path
    label: int


@dataclass(frozen=True)
class ImageFolder:
    """Images by split, each ordered by id; `notes` say what a reader of the scores should know.

    `source` is the digest of the files that the images were made from, where they are not files of the user's own.
    `folders` are those of the classes by index, where these are not the names.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[LabelledImage, ...]]
    notes: tuple[Note, ...] = ()
    source: str | None = None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Classes:
    """The class names, the index of each class folder, and the folders by index where names are others."""

    names: tuple[str, ...]
    label_of: Mapping[str, int]
    folders: tuple[str, ...] = ()


def read_image_folder(root: Path, classes: ClassFile | None = None, *, whole: bool = False) -> ImageFolder:
    """Read a folder of images by class; raises DataError naming the folder that is wrong.

    Classes are train's folders in sorted order, without train those of all splits; with a class file they are the
    file's, in its order, and val and test may hold classes that train lacks (zero-shot classification needs them).
    With `whole` a folder without split folders is not divided.
    """
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder of images by class ({_LAYOUTS}).")
    stored = _split_folders(root)
    found, left_out = _images_of_splits(stored or {ALL: root})
    classes_found = _classes(root, found, classes)
    splits = _labelled(root, found, classes_found.label_of)
    notes = [*_notes_left_out(left_out), *_notes_lacking(found, classes_found), *_notes_names(splits)]
    if not stored and not whole:
        splits, note = _divided(splits[ALL])
        notes = [note, *notes]
    _require_usable(root, splits, classes_found.names)
    return ImageFolder(classes_found.names, splits, tuple(notes), folders=classes_found.folders)


def read_class_folders(root: Path, classes: ClassFile | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the class names alone, and their folders where names are others; no image is looked for.

    Raises DataError as `read_image_folder` does for class folders that are unknown.
    """
    folders = _split_folders(root) or {ALL: root}
    found = {split: {_class_of(path): () for path in _subfolders(folder)} for split, folder in folders.items()}
    read = _classes(root, found, classes)
    return read.names, read.folders


def is_flat(root: Path) -> bool:
    """Tell whether a folder of images by class has no split folders."""
    return not _split_folders(root)


def is_image_folder(root: Path) -> bool:
    """Tell whether `root` has images in class folders, with or without split folders, without reading them all.

    The folders of COCO, VOC, ADE20K and CamVid hold images too, but not by class.
    """
    if not root.is_dir() or any((root / name).is_dir() for name in _OTHER_FORMATS):
        return False
    folders = [*_split_folders(root).values(), root]
    return any(_is_image(path) for folder in folders for path in folder.glob("*/*"))


def digest_of_image_folder(folder: ImageFolder, contents: Contents = NOWHERE) -> str:
    """Digest class names, splits and labels, and the names and bytes of the images."""
    images = [(split, image) for split, images in folder.splits.items() for image in images]
    facts = [repr(folder.class_names), *(f"{split} {image.image_id} {image.label}" for split, image in images)]
    if folder.source is not None:
        return digest_of_files([folder.source, *facts], (), ())
    return digest_of_files(facts, (), ((image.image_id, image.path) for _, image in images), contents)


def ordered_by_hash(names: Iterable[str]) -> list[str]:
    """Shuffle names in a way that depends on nothing but themselves."""
    return sorted(names, key=lambda name: hashlib.sha256(name_bytes(name)).digest())


def _split_folders(root: Path) -> dict[str, Path]:
    """Find split folders; a folder `train` (or `val`) with images but no folders in it is a class."""
    found: dict[str, Path] = {}
    for folder in _subfolders(root):
        split = _SPLITS.get(folder.name.lower())
        if split is None or (split == "train" and not _subfolders(folder)):
            continue
        if split in found:
            raise DataError(f"{root} has both {found[split].name}/ and {folder.name}/ for {split}. Keep one.")
        found[split] = folder
    if "train" not in found and not any(_subfolders(folder) for folder in found.values()):
        return {}
    return {split: found[split] for split in _ORDER if split in found}


def _images_of_splits(folders: Mapping[str, Path]) -> tuple[dict[str, ImagesByClass], dict[str, FoundFiles]]:
    """The images of each split by class, and what was left out of each split."""
    found: dict[str, ImagesByClass] = {}
    left_out: dict[str, FoundFiles] = {}
    for split, folder in folders.items():
        classes = _subfolders(folder)
        if not classes:
            what = "there are no class folders" if split == ALL else f"the {split} split is empty"
            raise DataError(f"{folder} has no folders: {what}. Wanted: {_LAYOUTS}.")
        by_class: dict[str, Sequence[Path]] = {}
        left_out[split] = FoundFiles()
        for path in classes:
            files = find_image_files(path)
            _require_images(path, files)
            name = _class_of(path)
            if name in by_class:
                raise DataError(f"{folder} has two folders '{name}' which differ in how accents are coded. Keep one.")
            by_class[name] = files.images
            left_out[split].add(files)
        found[split] = by_class
    return found, left_out


def _class_of(folder: Path) -> str:
    return normal_form(readable_name(folder.name))


def _require_images(folder: Path, files: FoundFiles) -> None:
    if not files.images:
        seen = f"only {files.describe_left_out()}" if files.count_left_out else "it is empty"
        raise DataError(
            f"{folder} has no image that can be opened: {seen}. Put images there, or remove the folder if it is not a "
            "class."
        )


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir())


def _is_image(path: Path) -> bool:
    return is_image_name(path.name) and not is_hidden(path.name)


def _classes(root: Path, found: Mapping[str, ImagesByClass], classes: ClassFile | None) -> _Classes:
    """The class names, and the class index of each folder."""
    if classes is None:
        first = found["train"] if "train" in found else {name: () for folders in found.values() for name in folders}
        keys = sorted(first)
        known = {key: index for index, key in enumerate(keys)}
        _require_known(root, found, known, "train has no such folder")
        return _Classes(tuple(keys), known)
    present = {name for folders in found.values() for name in folders}
    readings = [{normal_form(key): index for index, key in enumerate(keys)} for keys in _folder_names(classes)]
    fitting = [reading for reading in readings if present <= reading.keys()]
    if not fitting:
        best = max(readings, key=lambda reading: len(present & reading.keys()))
        _require_known(root, found, best, f"{classes.path} does not list it")
    for other in fitting[1:]:
        differing = sorted(name for name in present if fitting[0][name] != other[name])
        if differing:
            one, two = (classes.names[reading[differing[0]]] for reading in (fitting[0], other))
            raise DataError(
                f"{classes.path}: the class folders of {root} can be read in two ways. The folder '{differing[0]}' is "
                f"'{one}' by its folder or name, and '{two}' by its number. Give names or folders that are no numbers."
            )
    label_of = fitting[0]
    folders = tuple(sorted(label_of, key=lambda name: label_of[name]))
    names = tuple(map(normal_form, classes.names))
    return _Classes(names, label_of, () if folders == names else folders)


def _folder_names(classes: ClassFile) -> list[Sequence[str]]:
    """What a class file's folders may be: those that it states, its names, or its indices as they are written."""
    return [keys for keys in (classes.folders, classes.names, classes.written) if keys]


def _require_known(root: Path, found: Mapping[str, ImagesByClass], known: Mapping[str, int], wanted_by: str) -> None:
    for split, folders in found.items():
        for name in folders:
            if name not in known:
                where = "" if split == ALL else f" of {split}"
                raise DataError(
                    f"{root}: the class folder '{name}'{where} is unknown: {wanted_by}. {nearest(name, known)} "
                    "Mend the name, or list all classes in a file for --classes FILE."
                )


def _labelled(
    root: Path, found: Mapping[str, ImagesByClass], label_of: Mapping[str, int]
) -> dict[str, tuple[LabelledImage, ...]]:
    return {
        split: tuple(
            sorted(
                (
                    LabelledImage(readable_name(_below(root, path)), path, label_of[name])
                    for name, paths in folders.items()
                    for path in paths
                ),
                key=lambda image: image.image_id,
            )
        )
        for split, folders in found.items()
    }


def _below(root: Path, path: Path) -> str:
    """The path of a file from a folder on, with slashes; a Path takes ten times as long to say so."""
    whole, start = str(path), f"{root}/"
    return whole[len(start) :] if whole.startswith(start) else path.relative_to(root).as_posix()


def _notes_left_out(left_out: Mapping[str, FoundFiles]) -> list[Note]:
    return [
        Note(
            f"left out beside {len(files.images)} images: {files.describe_left_out()}",
            _split_or_none(split),
            files.count_left_out,
            files.count_left_out + len(files.images),
        )
        for split, files in left_out.items()
        if files.count_left_out
    ]


def _notes_lacking(found: Mapping[str, ImagesByClass], classes: _Classes) -> list[Note]:
    notes = []
    for split, folders in found.items():
        present = {classes.label_of[name] for name in folders}
        lacking = [name for index, name in enumerate(classes.names) if index not in present]
        if lacking:
            count, total = len(lacking), len(classes.names)
            text = f"no image of {count} of {total} classes (first: {', '.join(lacking[:3])})"
            notes.append(Note(text, _split_or_none(split), count, total))
    return notes


def _notes_names(splits: Mapping[str, Sequence[LabelledImage]]) -> list[Note]:
    """Say which file names are not UTF-8: their ids are written otherwise."""
    odd = [image for images in splits.values() for image in images if _is_odd(str(image.path))]
    if not odd:
        return []
    text = f"{len(odd)} file names are not UTF-8; in ids such bytes are written as \\xNN (first: {odd[0].image_id})"
    return [Note(text, count=len(odd))]


def _is_odd(name: str) -> bool:
    return not name.isascii() and readable_name(name) != name


def _split_or_none(split: str) -> str | None:
    return None if split == ALL else split


def _divided(images: Sequence[LabelledImage]) -> tuple[dict[str, tuple[LabelledImage, ...]], Note]:
    """Split within each class, so that each class is trained on; numbers are rounded half up."""
    split_of: dict[str, str] = {}
    for label in sorted({image.label for image in images}):
        names = ordered_by_hash(image.image_id for image in images if image.label == label)
        counts = {split: int(share * len(names) + 0.5) for split, share in _SHARES.items()}
        parts = ["test"] * counts["test"] + ["val"] * counts["val"]
        split_of |= dict(zip(names, parts + ["train"] * (len(names) - len(parts)), strict=True))
    splits = {split: tuple(image for image in images if split_of[image.image_id] == split) for split in _ORDER}
    shares = ", ".join(f"{len(part)} {split}" for split, part in splits.items())
    text = (
        f"no split folders: the {len(images)} images are split 70/10/20 within each class by the sha256 of the "
        f"relative path ({shares}); --split {ALL} evaluates on all of them, without training"
    )
    return splits, Note(text, count=len(splits["test"]), total=len(images))


def _require_usable(root: Path, splits: Mapping[str, Sequence[LabelledImage]], names: Sequence[str]) -> None:
    labels = {image.label for images in splits.values() for image in images}
    if len(names) < 2 or ("train" in splits and len(labels) < 2):
        only = names[next(iter(labels))]
        raise DataError(f"{root} is one-class data (only '{only}'): there is nothing to tell apart. Add a class.")
    for split, images in splits.items():
        if not images:
            raise DataError(
                f"{root}: the {split} split would be empty, since no class has enough images to share. "
                "Wanted: at least 5 images of a class, or split folders; or evaluate on all of them, without training, "
                f"with --split {ALL}."
            )
