"""Pascal VOC (Everingham et al. 2010), converted while it is read to COCO's shapes and to label maps.

Boxes: VOC's corners are 1-based and inclusive, so x = xmin - 1 and width = xmax - xmin + 1. An object marked
difficult becomes a crowd, which scoring ignores; `Instances.crowd_label` is -1, unknown. VOC states no areas: they are
those of the boxes, which a note says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError, nearest
from tasks.formats.class_files import ClassFile
from tasks.formats.coco_entries import Category, ImageEntry, require_files
from tasks.formats.coco_instances import Instances, group_objects
from tasks.formats.label_maps import BORDER, LabelEntry, LabelMaps, LabelScheme, scheme_of_classes
from tasks.formats.voc_xml import VocObject, read_annotation

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BACKGROUND = "background"
VOC_SCHEME = LabelScheme((BACKGROUND, *VOC_CLASSES), tuple(range(21)), frozenset({BORDER}))
"""VOC's segmentation: 0 is background, 255 the border of objects, which is not scored."""
_SPLITS = ("train", "val", "test", "trainval")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_LAYOUT = "JPEGImages/, Annotations/ or SegmentationClass/, and ImageSets/{Main,Segmentation}/{train,val,test}.txt"


def is_voc(root: Path) -> bool:
    """Tell whether `find_voc_folder` finds VOC below `root`."""
    return find_voc_folder(root) is not None


def find_voc_folder(root: Path) -> Path | None:
    """Find the folder that holds ImageSets: `root`, `root/VOC2007` or `root/VOCdevkit/VOC2007` (any year).

    None when there is none; raises DataError when there are several years.
    """
    if (root / "ImageSets").is_dir():
        return root
    found = [p.parent for p in sorted((*root.glob("VOC*/ImageSets"), *root.glob("VOCdevkit/VOC*/ImageSets")))]
    if len(found) > 1:
        raise DataError(f"{root} has {', '.join(path.name for path in found)}. Give the folder of one year.")
    return found[0] if found else None


def find_voc_splits(folder: Path, kind: str) -> tuple[str, ...]:
    """List the splits of `ImageSets/<kind>`, kind being Main (boxes) or Segmentation."""
    return tuple(split for split in _SPLITS if _list_file(folder, kind, split).is_file())


def read_voc_instances(folder: Path, split: str, classes: ClassFile | None = None) -> Instances:
    """Read the boxes of a split in the order of its list; raises DataError naming the file and the object.

    Image ids are VOC's names without their underscore ("2007_000027" is 2007000027) where all are digits, else places
    in the list, from 1; category ids are the values of the label maps: 1, 2, ….
    """
    names, image_list = _listed(folder, "Main", split)
    files = [folder / "Annotations" / f"{name}.xml" for name in names]
    require_files(files, image_list, folder / "Annotations")
    scheme = _scheme(classes)
    categories = tuple(
        Category(value, name, "", {})
        for name, value in zip(scheme.class_names, scheme.values, strict=True)
        if name != BACKGROUND
    )
    category_ids = {category.name: category.category_id for category in categories}
    images: list[ImageEntry] = []
    rows: list[dict[str, Any]] = []
    for image_id, path, photograph in zip(_image_ids(names), files, _photographs(folder, names), strict=True):
        annotation = read_annotation(path)
        images.append(ImageEntry(image_id, photograph, annotation.width, annotation.height))
        for number, item in enumerate(annotation.objects, start=1):
            if item.name not in category_ids:
                raise DataError(
                    f"{path}: object {number} is a '{item.name}', which is not in the class list. "
                    f"{nearest(item.name, category_ids)} Give the classes with --classes FILE."
                )
            rows.append(_row(len(rows) + 1, image_id, category_ids[item.name], item))
    return Instances(
        images=tuple(images),
        objects=group_objects(rows, images, categories, folder / "Annotations"),
        categories=categories,
        sources=(image_list, *files),
        notes=("VOC states no areas: those of the boxes are taken", "objects marked difficult are crowds"),
        crowd_label=-1,
    )


def read_voc_labels(folder: Path, split: str, classes: ClassFile | None = None) -> LabelMaps:
    """Read the label maps of a split in the order of its list; values are palette indices, 0 the background.

    A class file may leave out the background: its classes then have the values 1, 2, …, as VOC's own have.
    """
    names, image_list = _listed(folder, "Segmentation", split)
    labels = [folder / "SegmentationClass" / f"{name}.png" for name in names]
    require_files(labels, image_list, folder / "SegmentationClass")
    entries = tuple(map(LabelEntry, names, _photographs(folder, names), labels))
    return LabelMaps(entries, _scheme(classes), (image_list,))


def _scheme(classes: ClassFile | None) -> LabelScheme:
    if classes is None:
        return VOC_SCHEME
    scheme = scheme_of_classes(classes)
    if scheme.colours is not None:
        return scheme
    if BACKGROUND in scheme.class_names:
        if dict(zip(scheme.class_names, scheme.values, strict=True))[BACKGROUND] != 0:
            raise DataError(f"{classes.path} has '{BACKGROUND}' at another value than 0, VOC's. List it first.")
        return scheme
    shift = 1 if min(scheme.values) == 0 else 0
    values = (0, *(value + shift for value in scheme.values))
    return LabelScheme((BACKGROUND, *scheme.class_names), values, frozenset({BORDER}.difference(values)))


def _row(annotation_id: int, image_id: int, category_id: int, item: VocObject) -> dict[str, Any]:
    left, top, right, bottom = item.corners
    box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
    return {
        "id": annotation_id, "image_id": image_id, "category_id": category_id, "bbox": box,
        "area": max(box[2], 0.0) * max(box[3], 0.0), "iscrowd": int(item.difficult),
    }  # fmt: skip


def _list_file(folder: Path, kind: str, split: str) -> Path:
    return folder / "ImageSets" / kind / f"{split}.txt"


def _listed(folder: Path, kind: str, split: str) -> tuple[list[str], Path]:
    path = _list_file(folder, kind, split)
    if not path.is_file():
        raise UsageError(
            f"{folder} has no list {path.relative_to(folder)} ({nearest(split, find_voc_splits(folder, kind))}) "
            f"Wanted: {_LAYOUT}."
        )
    lines = {number: line.strip() for number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1)}
    first: dict[str, int] = {}
    for number, name in lines.items():
        if not name:
            continue
        if "/" in name or name.startswith(".") or len(name.split()) != 1:
            raise DataError(f"{path}: line {number} is '{name:.60}'; wanted one image name. Mend the list.")
        if first.setdefault(name, number) != number:
            raise DataError(f"{path}: lines {first[name]} and {number} both name {name}. Keep one.")
    if not first:
        raise DataError(f"{path} names no image: the split is empty. Fetch it again.")
    return list(first), path


def _image_ids(names: Sequence[str]) -> list[int]:
    digits = [name.replace("_", "") for name in names]
    if all(text.isascii() and text.isdigit() and len(text) < 16 for text in digits):
        ids = [int(text) for text in digits]
        if len(set(ids)) == len(ids):
            return ids
    return list(range(1, len(names) + 1))


def _photographs(folder: Path, names: Sequence[str]) -> list[Path]:
    images = folder / "JPEGImages"
    present = {path.name for path in images.iterdir()} if images.is_dir() else set()
    is_there: Callable[[str], bool] = present.__contains__
    paths = [images / next(filter(is_there, (name + suffix for suffix in _SUFFIXES)), f"{name}.jpg") for name in names]
    require_files(paths, folder / "ImageSets", images)
    return paths
