"""Pascal VOC (Everingham et al. 2010), converted while it is read to COCO's shapes and to label maps.

Boxes: VOC's corners are 1-based and inclusive, so x = xmin - 1 and width = xmax - xmin + 1. An object marked
difficult becomes a crowd, which scoring ignores; `Instances.crowd_label` is -1, unknown. VOC states no areas: they are
those of the boxes, which a note says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError, nearest
from harness.sample import Note
from harness.text.spelling import normal_form
from tasks.formats.class_names import ClassFile
from tasks.formats.coco_entries import Category, ImageEntry
from tasks.formats.coco_instances import Instances, group_objects
from tasks.formats.coco_layout import ROLES
from tasks.formats.file_names import find_files, require_files
from tasks.formats.label_maps import BORDER, LabelEntry, LabelMaps, LabelScheme, scheme_of_classes
from tasks.formats.voc_xml import VocObject, read_annotation

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOC_BACKGROUND = "background"
VOC_SCHEME = LabelScheme((VOC_BACKGROUND, *VOC_CLASSES), tuple(range(21)), frozenset({BORDER}))
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


def annotated_voc_splits(folder: Path, kind: str) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """List the splits of `ImageSets/<kind>` that have annotations, and say which lists are no splits for want of them.

    VOC publishes lists of test images without their annotations: a list of which no image has one is such a list. One
    of which some have is a split, and reading it names the others. Raises DataError where no list is a split.
    """
    found, notes = [], []
    lists = find_voc_splits(folder, kind)
    for split in lists:
        names = [name for _, name in _lines(_list_file(folder, kind, split))]
        if any(find_files([_annotation(folder, kind, name) for name in names], folder)):
            found.append(split)
        elif split in ROLES:
            what = "is empty" if not names else f"has annotations for none of its {len(names)} images"
            notes.append(Note(f"the list {kind}/{split}.txt {what} and is no split", None, len(names), len(names)))
    if not found:
        where = _annotation(folder, kind, "NAME").relative_to(folder)
        raise DataError(
            f"{folder} has no list in ImageSets/{kind} of which an image is annotated, as {where} (seen: "
            f"{', '.join(lists) or 'none'}). Wanted: {_LAYOUT}."
        )
    return tuple(found), tuple(notes)


def read_voc_instances(folder: Path, split: str, classes: ClassFile | None = None) -> Instances:
    """Read the boxes of a split in the order of its list; raises DataError naming the file and the object.

    Images are known by VOC's names, and their ids are places in the list, from 1; category ids are the values of the
    label maps: 1, 2, ….
    """
    names, image_list = _listed(folder, "Main", split)
    files = require_files([_annotation(folder, "Main", name) for name in names], image_list, folder)
    scheme = _scheme(classes)
    categories = tuple(
        Category(value, name, {})
        for name, value in zip(scheme.class_names, scheme.values, strict=True)
        if name != VOC_BACKGROUND
    )
    category_ids = {category.name: category.category_id for category in categories}
    images: list[ImageEntry] = []
    rows: list[dict[str, Any]] = []
    photographs = _photographs(folder, image_list, names)
    for image_id, (name, path, photograph) in enumerate(zip(names, files, photographs, strict=True), start=1):
        annotation = read_annotation(path)
        images.append(ImageEntry(image_id, photograph, annotation.width, annotation.height, name))
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
        notes=_notes(rows),
        crowd_label=-1,
    )


def read_voc_labels(folder: Path, split: str, classes: ClassFile | None = None) -> LabelMaps:
    """Read the label maps of a split in the order of its list; values are palette indices, 0 the background.

    A class file may leave out the background: its classes then have the values 1, 2, …, as VOC's own have.
    """
    names, image_list = _listed(folder, "Segmentation", split)
    labels = require_files([_annotation(folder, "Segmentation", name) for name in names], image_list, folder)
    entries = tuple(map(LabelEntry, names, _photographs(folder, image_list, names), labels))
    return LabelMaps(entries, _scheme(classes), (image_list,))


def _scheme(classes: ClassFile | None) -> LabelScheme:
    if classes is None:
        return VOC_SCHEME
    scheme = scheme_of_classes(classes)
    if scheme.colours is not None:
        return scheme
    if VOC_BACKGROUND in scheme.class_names:
        if dict(zip(scheme.class_names, scheme.values, strict=True))[VOC_BACKGROUND] != 0:
            raise DataError(f"{classes.path} has '{VOC_BACKGROUND}' at another value than 0, VOC's. List it first.")
        return scheme
    shift = 1 if min(scheme.values) == 0 else 0
    values = (0, *(value + shift for value in scheme.values))
    return LabelScheme((VOC_BACKGROUND, *scheme.class_names), values, frozenset({BORDER}.difference(values)))


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
    photographs: frozenset[str] | None = None
    first: dict[str, int] = {}
    for number, name in _lines(path):
        if len(name.split()) != 1 and photographs is None:
            photographs = frozenset(normal_form(image.stem) for image in (folder / "JPEGImages").glob("*"))
        # Lists of one class add 1 or -1 to each name; a name may have spaces of its own.
        is_name = len(name.split()) == 1 or (photographs is not None and normal_form(name) in photographs)
        if "/" in name or name.startswith(".") or "\0" in name or not is_name:
            raise DataError(
                f"{path}: line {number} is '{name:.60}'; wanted one image name, and JPEGImages has no image of that "
                "name. Mend the list."
            )
        if first.setdefault(name, number) != number:
            raise DataError(f"{path}: lines {first[name]} and {number} both name {name}. Keep one.")
    if not first:
        raise DataError(f"{path} names no image: the split is empty. Fetch it again.")
    return list(first), path


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list that are not empty, with their numbers; whatever ends them, and without a byte order mark."""
    try:
        text = path.read_text("utf-8-sig")
    except ValueError as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}. Save it as UTF-8.") from None
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _annotation(folder: Path, kind: str, name: str) -> Path:
    """Where the boxes (Main) or the label map (Segmentation) of an image are."""
    return folder / "Annotations" / f"{name}.xml" if kind == "Main" else folder / "SegmentationClass" / f"{name}.png"


def _photographs(folder: Path, image_list: Path, names: Sequence[str]) -> list[Path]:
    found: list[Path | None] = [None] * len(names)
    for suffix in _SUFFIXES:
        paths = find_files([folder / "JPEGImages" / f"{name}{suffix}" for name in names], folder)
        found = [first or second for first, second in zip(found, paths, strict=True)]
    default = [folder / "JPEGImages" / f"{name}{_SUFFIXES[0]}" for name in names]
    return require_files([path or other for path, other in zip(found, default, strict=True)], image_list, folder)


def _notes(rows: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    difficult = sum(row["iscrowd"] for row in rows)
    areas = Note("VOC states no areas: those of the boxes are taken, and AP by size is by box")
    text = f"{difficult} of {len(rows)} objects are marked difficult: they are neither right nor wrong to find"
    return (areas, Note(text, None, difficult, len(rows))) if difficult else (areas,)
