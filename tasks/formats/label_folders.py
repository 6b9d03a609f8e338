"""Folders of photographs with label images, in the two layouts that are common.

    images/{training|train,validation|val,test}/ + annotations/<the same>/      ADE20K, and others like it
    train/ trainannot/ val/ valannot/ test/ testannot/                          CamVid as SegNet has it

Classes come from a class file; without one, from `objectInfo150.txt` beside ADE20K's folders, or they are CamVid's 11.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError
from harness.sample import Note
from harness.text.spelling import normal_form
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.image_files import image_files_in, is_hidden, is_image_name
from tasks.formats.label_maps import BORDER, LabelEntry, LabelMaps, LabelScheme, scheme_of_classes

_SPLITS = {
    "training": "train", "train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
_ORDER = ("train", "val", "test")
_ADE_CLASSES = "objectInfo150.txt"
_LAYOUTS = "images/{train,val,test}/ with annotations/{train,val,test}/, or train/ with trainannot/ and so on"
CAMVID = LabelScheme(
    (
        "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian",
        "bicyclist",
    ),
    tuple(range(11)),
    frozenset({11, BORDER}),
)  # fmt: skip
"""CamVid's 11 classes as SegNet numbers them (Badrinarayanan et al. 2015, arXiv:1511.00561); 11 is unlabelled."""


def read_label_folders(root: Path, classes: ClassFile | None = None) -> dict[str, LabelMaps]:
    """Read all splits, ordered by file name; raises DataError naming the folder or the file that is wrong."""
    folders = find_label_folders(root)
    if not folders:
        seen = sorted(path.name for path in root.iterdir())[:6] if root.is_dir() else []
        raise DataError(f"{root} has no folders of label images (seen: {', '.join(seen) or 'nothing'}). {_wanted()}")
    scheme, sources = _scheme(root, classes)
    return {split: LabelMaps(_entries(*pair), scheme, sources, _left_out(*pair)) for split, pair in folders.items()}


def find_label_folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """Find (image folder, label folder) by split; empty when `root` is in neither layout."""
    found: dict[str, tuple[Path, Path]] = {}
    for name, split in _SPLITS.items():
        for images, labels in (
            (root / "images" / name, root / "annotations" / name),
            (root / name, root / f"{name}annot"),
        ):
            if not (images.is_dir() and labels.is_dir()):
                continue
            if split in found:
                raise DataError(f"{root} has both {found[split][0]} and {images} for {split}. Keep one.")
            found[split] = (images, labels)
    return {split: found[split] for split in _ORDER if split in found}


def _scheme(root: Path, classes: ClassFile | None) -> tuple[LabelScheme, tuple[Path, ...]]:
    if classes is None and (root / _ADE_CLASSES).is_file():
        classes = read_class_file(root / _ADE_CLASSES)
    if classes is not None:
        return scheme_of_classes(classes), (classes.path,)
    if any((root / f"{name}annot").is_dir() for name in _SPLITS):
        return CAMVID, ()
    raise DataError(
        f"{root} says nowhere what its label values mean ({_ADE_CLASSES} is not there). Give the classes with "
        "--classes FILE, one name a line in the order of the values, or `value name`."
    )


def _entries(images: Path, labels: Path) -> tuple[LabelEntry, ...]:
    """Pair images and label images by stem; CamVid's original label images add `_L`."""
    photographs = _by_stem(images)
    spelled = {normal_form(stem): stem for stem in photographs}
    maps = {spelled.get(normal_form(stem), stem): path for stem, path in _by_stem(labels).items()}
    maps = {stem if stem in photographs else stem.removesuffix("_L"): path for stem, path in maps.items()}
    for lacking, where, what in (
        (sorted(photographs.keys() - maps.keys()), labels, "label images of"),
        (sorted(maps.keys() - photographs.keys()), images, "images of the label images"),
    ):
        if lacking:
            raise DataError(
                f"{where} lacks {len(lacking)} {what} {', '.join(lacking[:3])}{' …' if len(lacking) > 3 else ''}. "
                "Put them there, or remove their counterparts."
            )
    if not photographs:
        raise DataError(f"{images} has no image: the split is empty. {_wanted()}")
    return tuple(LabelEntry(stem, photographs[stem], maps[stem]) for stem in sorted(photographs))


def _left_out(images: Path, labels: Path) -> tuple[Note, ...]:
    """Say how many files of the folders are no images; what lies deeper is not looked at, which is said too."""
    notes = []
    for folder in (images, labels):
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not is_hidden(entry.name))
        others = [name for name in names if not is_image_name(name)]
        if others:
            of_all = f"{len(others)} of {len(names)} files of {folder.name}/"
            text = f"{of_all} are no images and are left out (first: {others[0]})"
            notes.append(Note(text, None, len(others), len(names)))
    return tuple(notes)


def _by_stem(folder: Path) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for path in image_files_in(folder):
        if path.stem in found:
            raise DataError(f"{folder} has both {found[path.stem].name} and {path.name}. Keep one.")
        found[path.stem] = path
    return found


def _wanted() -> str:
    return f"Wanted: {_LAYOUTS}."
