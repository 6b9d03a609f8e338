"""Folders of images by class, with or without split folders.

    root/{train,val,test}/CLASS/IMAGE      `valid` and `validation` are val; a val or test split may be missing
    root/CLASS/IMAGE                       split 70/10/20 within each class, by the sha256 of the relative path

Images may lie deeper in a class folder. Files that are no images, and names that begin with a dot, are ignored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.content import Contents
from harness.errors import DataError, nearest
from harness.spelling import name_bytes
from tasks.formats.class_files import ClassFile
from tasks.formats.digests import NOWHERE, digest_of_files

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".webp", ".tif", ".tiff"})
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_ORDER = ("train", "val", "test")
_OTHER_FORMATS = ("annotations", "ImageSets", "trainannot")
_SHARES = {"test": 0.2, "val": 0.1}
_LAYOUTS = "root/{train,val,test}/CLASS/IMAGE or root/CLASS/IMAGE"


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
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[LabelledImage, ...]]
    notes: tuple[str, ...] = ()
    source: str | None = None


def read_image_folder(root: Path, classes: ClassFile | None = None) -> ImageFolder:
    """Read a folder of images by class; raises DataError naming the folder that is wrong.

    Classes are train's folders in sorted order; with a class file they are the file's, in its order, and val and
    test may hold classes that train lacks (zero-shot classification needs them).
    """
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder of images by class ({_LAYOUTS}).")
    folders = _split_folders(root)
    found = {split: _images_by_class(folder, split) for split, folder in folders.items()} if folders else {}
    if not folders:
        found = {"train": _images_by_class(root, "")}
    names, label_of = _classes(root, found, classes)
    splits, notes = _labelled(root, found, label_of), _notes(found, label_of)
    if not folders:
        splits = _divided(splits["train"])
        notes = ("no split folders: 70/10/20 within each class by the sha256 of the relative path", *notes)
    _require_usable(root, splits)
    return ImageFolder(names, splits, notes)


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
    """Find split folders; a folder `train` with images but no folders in it is a class of trains."""
    found: dict[str, Path] = {}
    for folder in _subfolders(root):
        split = _SPLITS.get(folder.name.lower())
        if split is None or (split == "train" and not _subfolders(folder)):
            continue
        if split in found:
            raise DataError(f"{root} has both {found[split].name}/ and {folder.name}/ for {split}. Keep one.")
        found[split] = folder
    if "train" not in found:
        nested = [folder.name for folder in found.values() if _subfolders(folder)]
        if nested:
            raise DataError(f"{root} has {' and '.join(nested)} but no train/ with class folders. Wanted: {_LAYOUTS}.")
        return {}
    if len(found) == 1:
        raise DataError(
            f"{root} has only train/: nothing is left to evaluate on. Add val/ or test/, or give {found['train']} as "
            "the root, which is then split 70/10/20."
        )
    return {split: found[split] for split in _ORDER if split in found}


def _images_by_class(folder: Path, split: str) -> dict[str, list[Path]]:
    classes = _subfolders(folder)
    if not classes:
        what = f"the {split} split is empty" if split else "there are no class folders"
        raise DataError(f"{folder} has no folders: {what}. Wanted: {_LAYOUTS}.")
    found = {}
    for path in classes:
        images = _images(path)
        if not images:
            raise DataError(
                f"{path} has no image (looked for {', '.join(sorted(SUFFIXES))}). "
                "Put images there, or remove the folder if it is not a class."
            )
        found[path.name] = images
    return found


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def _images(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for path in (Path(parent, name) for name in files) if _is_image(path)]
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _classes(
    root: Path, found: Mapping[str, Mapping[str, object]], classes: ClassFile | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class names, and the class index of each folder."""
    keys = sorted(found["train"]) if classes is None else list(classes.folders or classes.names)
    known = {key: index for index, key in enumerate(keys)}
    wanted_by = "train has no such folder" if classes is None else f"{classes.path} does not list it"
    for split, folders in found.items():
        for name in folders:
            if name not in known:
                raise DataError(
                    f"{root}: the class folder '{name}' of {split} is unknown: {wanted_by}. {nearest(name, known)} "
                    "Mend the name, or list all classes in a file for --classes FILE."
                )
    return (tuple(keys) if classes is None else classes.names), known


def _labelled(
    root: Path, found: Mapping[str, Mapping[str, Sequence[Path]]], label_of: Mapping[str, int]
) -> dict[str, tuple[LabelledImage, ...]]:
    return {
        split: tuple(
            sorted(
                (
                    LabelledImage(path.relative_to(root).as_posix(), path, label_of[name])
                    for name, paths in folders.items()
                    for path in paths
                ),
                key=lambda image: image.image_id,
            )
        )
        for split, folders in found.items()
    }


def _notes(found: Mapping[str, Mapping[str, object]], label_of: Mapping[str, int]) -> tuple[str, ...]:
    lacking = {split: [name for name in label_of if name not in folders] for split, folders in found.items()}
    return tuple(
        f"{split} has no image of {len(names)} of {len(label_of)} classes (first: {', '.join(names[:3])})"
        for split, names in lacking.items()
        if names
    )


def _divided(images: Sequence[LabelledImage]) -> dict[str, tuple[LabelledImage, ...]]:
    """Split within each class, so that each class is trained on; numbers are rounded half up."""
    split_of: dict[str, str] = {}
    for label in sorted({image.label for image in images}):
        names = ordered_by_hash(image.image_id for image in images if image.label == label)
        counts = {split: int(share * len(names) + 0.5) for split, share in _SHARES.items()}
        parts = ["test"] * counts["test"] + ["val"] * counts["val"]
        split_of |= dict(zip(names, parts + ["train"] * (len(names) - len(parts)), strict=True))
    return {split: tuple(image for image in images if split_of[image.image_id] == split) for split in _ORDER}


def _require_usable(root: Path, splits: Mapping[str, Sequence[LabelledImage]]) -> None:
    if len({image.label for images in splits.values() for image in images}) < 2:
        only = Path(next(iter(splits.values()))[0].image_id).parent.name
        raise DataError(f"{root} is one-class data (only '{only}'): there is nothing to tell apart. Add a class.")
    for split, images in splits.items():
        if not images:
            raise DataError(
                f"{root}: the {split} split would be empty, since no class has enough images to share. "
                "Wanted: at least 5 images of a class, or split folders."
            )
