"""Label maps on disk: COCO panoptic, COCO-Stuff, Pascal VOC, and folders of label images as of ADE20K and CamVid."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from harness.errors import DataError
from harness.protocols import DataContext
from harness.sample import Classes, Dataset, Note, Sample
from harness.storage.content import Contents
from tasks.datasets.locations import refuse_settings
from tasks.datasets.novel_classes import named_classes
from tasks.datasets.shared_images import KnownImage, coco_image, shared_images
from tasks.datasets.split_roles import folder_dataset, part_of, roles_of, stored_split
from tasks.datasets.stored_splits import LazySplits, check_sizes_once, split_notes_of, stored_names
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.coco_entries import Category, ImageEntry, require_same_categories
from tasks.formats.coco_layout import SplitFile, find_panoptic_files, find_pixel_map_files
from tasks.formats.coco_panoptic import Panoptic, digest_of_panoptic
from tasks.formats.digests import NOWHERE
from tasks.formats.index_png import read_png_header
from tasks.formats.label_folders import find_label_folders, read_label_folders
from tasks.formats.label_maps import LabelEntry, LabelMaps, LabelScheme, digest_of_label_maps, scheme_of_categories
from tasks.formats.panoptic_index import open_panoptic
from tasks.formats.pixel_maps import read_pixel_maps
from tasks.formats.voc import annotated_voc_splits, find_voc_folder, read_voc_labels
from tasks.segmentation.readers import LabelImageReader, PanopticReader
from tasks.targets.targets import MapTarget

PANOPTIC, PIXEL_MAPS, VOC, FOLDERS = "panoptic", "pixel-maps", "voc", "label-folders"
Stored: TypeAlias = Panoptic | LabelMaps


@dataclass(frozen=True)
class MapFolder:
    """A folder of images with label maps; splits are read when they are asked for."""

    root: Path
    format: str
    class_file: Path | None = None
    contents: Contents = NOWHERE
    """Where what has been read of files is remembered."""

    @cached_property
    def splits(self) -> LazySplits[Stored]:
        """The splits that have a role; raises DataError where there is none."""
        if self.format == FOLDERS:
            folders = read_label_folders(self.root, self._classes)
            return LazySplits(tuple(folders), folders.__getitem__)
        if self.format == VOC:
            folder = self._voc
            found, _ = annotated_voc_splits(folder, "Segmentation")
            return LazySplits(stored_names(found), lambda split: read_voc_labels(folder, split, self._classes))
        find = find_panoptic_files if self.format == PANOPTIC else find_pixel_map_files
        files: dict[str, SplitFile] = find(self.root)

        def read(split: str) -> Stored:
            if self.format == PANOPTIC:
                return open_panoptic(files[split], self.contents)
            return read_pixel_maps(files[split])

        return LazySplits(stored_names(files), read)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is left out or suspect, by split; reads all splits."""
        lists = annotated_voc_splits(self._voc, "Segmentation")[1] if self.format == VOC else ()
        return (*lists, *split_notes_of(self.splits))

    @cached_property
    def scheme(self) -> LabelScheme:
        """The classes by index, and what label values mean."""
        stored = self._any
        return stored.scheme if isinstance(stored, LabelMaps) else scheme_of_categories(stored.categories)

    @cached_property
    def categories(self) -> tuple[Category, ...] | None:
        """The categories of panoptic data, by class index; None for other data."""
        stored = self._any if self.format == PANOPTIC else None
        return stored.categories if isinstance(stored, Panoptic) else None

    def digest(self, contents: Contents) -> str:
        """Digest all splits; raises DataError where their classes differ."""
        digest = hashlib.sha256(self.format.encode())
        for split, stored in self.splits.items():
            self._require_same_classes(stored)
            if isinstance(stored, Panoptic):
                of_split = digest_of_panoptic(stored, contents)
            else:
                of_split = digest_of_label_maps(stored, contents)
            digest.update(f"\n{split} {of_split}".encode())
        return digest.hexdigest()

    @cached_property
    def _classes(self) -> ClassFile | None:
        return None if self.class_file is None else read_class_file(self.class_file)

    def shared_images(self, contents: Contents) -> tuple[Note, ...]:
        """Say which images stand in more than one split."""
        return shared_images({split: _known(stored, self.format) for split, stored in self.splits.items()}, contents)

    @property
    def _any(self) -> Stored:
        """A split that tells the classes, as all do: the last one, which is read faster than train."""
        return self.splits[tuple(self.splits)[-1]]

    @property
    def _voc(self) -> Path:
        folder = find_voc_folder(self.root)
        assert folder is not None
        return folder

    def _require_same_classes(self, stored: Stored) -> None:
        if isinstance(stored, Panoptic) and self.categories is not None:
            require_same_categories(self.categories, stored.categories, stored.sources[0])
        if isinstance(stored, LabelMaps) and stored.scheme != self.scheme:
            source = stored.sources[0] if stored.sources else self.root
            raise DataError(f"{source} has other classes than the data's other splits. Use files of one version.")


def map_format(root: Path, *, panoptic: bool) -> str:
    """Tell a folder's format by what is in it; raises DataError naming what is understood.

    Panoptic maps come first; COCO-Stuff's are taken where there are none, or where `panoptic` is not wanted.
    """
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder of COCO, VOC, ADE20K or CamVid.")
    annotations = root / "annotations"
    with_panoptic = any(folder.is_dir() for folder in annotations.glob("panoptic_*"))
    with_stuff = any(annotations.glob("stuff_*_pixelmaps"))
    if with_panoptic and (panoptic or not with_stuff):
        return PANOPTIC
    if with_stuff:
        return PIXEL_MAPS
    voc = find_voc_folder(root)
    if voc is not None and (voc / "SegmentationClass").is_dir():
        return VOC
    if find_label_folders(root):
        return FOLDERS
    seen = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{root} has no label maps in a format that is known (seen: {seen}). Wanted: annotations/panoptic_*.json with "
        "its folders of PNG maps (COCO), annotations/stuff_*_pixelmaps/ (COCO-Stuff), VOC's SegmentationClass/, or "
        "images/train/ with annotations/train/, or train/ with trainannot/ (ADE20K, CamVid)."
    )


def open_map_folder(root: Path, context: DataContext, templates: object, *, panoptic: bool) -> Dataset:
    """Open a folder for segmentation, of several kinds of maps the panoptic ones; the digest covers the templates."""
    from tasks.scenes_data.open import scene_text_digest

    class_file = context.settings.get("classes")
    path = None if class_file is None else Path(str(class_file)).expanduser().resolve()
    contents = Contents.of_one_opening(context.cache, context.progress)
    found = MapFolder(root, map_format(root, panoptic=panoptic), path, contents)
    if found.format in (PANOPTIC, PIXEL_MAPS):
        refuse_settings(context, ("classes",), f"is for label images; {root}'s files name their classes")
    roles = roles_of(root, found.splits, context.split)
    wish = context.settings.get("novel")
    samples = {
        "templates": templates,
        "novel": () if wish is None else named_classes(wish, found.scheme.class_names),
    }
    for stored in found.splits.values():
        if isinstance(stored, Panoptic):
            images = [ImageEntry(entry.image_id, entry.path, entry.width, entry.height) for entry in stored.entries]
            check_sizes_once(images, stored.sources, context, contents)
    notes = (*found.notes, *_value_notes(found, context), *found.shared_images(contents))
    options = {**samples, "format": found.format, "class_file": None if path is None else str(path)}
    digest = scene_text_digest(found.digest(contents), samples)
    return folder_dataset(root, roles, "maps", digest, options=options, cache=context.cache, notes=notes, opened=found)


def _known(stored: Stored, format: str) -> list[KnownImage]:
    """The images of a split; names mean images in COCO and VOC, where in other folders each split has its own."""
    if isinstance(stored, Panoptic):
        return [coco_image(entry.image_id, entry.path) for entry in stored.entries]
    if format == PIXEL_MAPS:
        return [coco_image(entry.image_id, entry.image) for entry in stored.entries]
    return [KnownImage(e.image_id, e.image, e.image_id if format == VOC else "") for e in stored.entries]


def _value_notes(found: MapFolder, context: DataContext) -> tuple[Note, ...]:
    """What the label images or the segments of all splits show."""
    from tasks.datasets.label_values import label_notes, segment_notes

    labels = {split: stored for split, stored in found.splits.items() if isinstance(stored, LabelMaps)}
    segments = {split: stored for split, stored in found.splits.items() if isinstance(stored, Panoptic)}
    return (*(label_notes(labels, context) if labels else ()), *segment_notes(segments))


def map_folder_of(data: Dataset) -> MapFolder:
    """Take an opened data set's folder again, as far as it was read in this process."""
    if isinstance(data.opened, MapFolder) and data.opened.root == data.root:
        return data.opened
    class_file = data.options["class_file"]
    path = None if class_file is None else Path(class_file)
    return MapFolder(data.root, data.options["format"], path, Contents(data.cache))


def map_samples(data: Dataset, split: str) -> list[Sample]:
    """Read a split; pixels of novel classes are IGNORED in the training and the selection split.

    So they are not learned as another class, and no label of a novel class is used.
    """
    folder = map_folder_of(data)
    names, novel = folder.scheme.class_names, data.options["novel"]
    in_training = split in (data.training_split, data.selection_split)
    left_out = tuple(names.index(name) for name in novel) if in_training else ()
    stored = folder.splits[stored_split(data, split)]
    samples = part_of(data, split, map_samples_of(stored, left_out))
    if not samples:
        raise DataError(f"{data.root}: the split {split} has no samples. Choose another with --split.")
    return samples


def map_samples_of(stored: Stored, left_out: Sequence[int] = ()) -> list[Sample]:
    """Turn images into samples in their order; the id of a sample is its image's."""
    if isinstance(stored, LabelMaps):
        return [_label_sample(entry, stored.scheme, tuple(left_out)) for entry in stored.entries]
    index = {category.category_id: number for number, category in enumerate(stored.categories)}
    return [
        Sample(
            str(entry.image_id),
            entry.path,
            MapTarget(
                str(entry.image_id), entry.width, entry.height, PanopticReader(entry, index, tuple(left_out)), entry
            ),
        )
        for entry in stored.entries
    ]


def map_classes(data: Dataset) -> Classes:
    """The classes of an opened folder, worded by its templates."""
    from tasks.datasets.prompts import fill, read_templates, spoken

    templates = read_templates(data.options["templates"])
    names = map_folder_of(data).scheme.class_names
    return Classes(
        names=names,
        texts=tuple(fill(templates, [spoken(name)]) for name in names),
        seen=tuple(name not in data.options["novel"] for name in names),
    )


def _label_sample(entry: LabelEntry, scheme: LabelScheme, left_out: tuple[int, ...]) -> Sample:
    width, height = _size_of(entry)
    target = MapTarget(entry.image_id, width, height, LabelImageReader(entry, scheme, left_out))
    return Sample(entry.image_id, entry.image, target)


def _size_of(entry: LabelEntry) -> tuple[int, int]:
    """Width and height in px: a label image is as large as its image, which is checked when it is read."""
    from harness.inputs.images import image_size

    if entry.labels.suffix.lower() != ".png":
        return image_size(entry.image)
    header = read_png_header(entry.labels)
    return header.width, header.height
