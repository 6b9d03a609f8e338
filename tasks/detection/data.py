"""Objects on disk, for detection and for multi-label classification: COCO's instance files, or VOC."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.protocols import DataContext
from harness.sample import Classes, Dataset, Note, Sample
from harness.storage.content import Contents
from tasks.datasets.locations import refuse_settings
from tasks.datasets.novel_classes import chosen_categories
from tasks.datasets.shared_images import KnownImage, coco_image, shared_images
from tasks.datasets.split_roles import folder_dataset, part_of, roles_of, stored_split
from tasks.datasets.stored_splits import LazySplits, check_sizes_once, split_notes_of, stored_names
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.coco_entries import Category, ImageEntry, require_same_categories
from tasks.formats.coco_instances import ImageObjects, Instances, digest_of_instances
from tasks.formats.coco_layout import SplitFile, annotation_files, find_instance_files
from tasks.formats.digests import NOWHERE
from tasks.formats.instance_index import MappedObjects, open_categories, open_instances
from tasks.formats.stored_masks import chosen_masks
from tasks.formats.voc import annotated_voc_splits, find_voc_folder, is_voc, read_voc_instances
from tasks.targets.targets import BoxTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COCO, VOC = "coco", "voc"


@dataclass(frozen=True)
class ObjectFolder:
    """A folder of images with objects; splits are read when they are asked for."""

    root: Path
    format: str
    class_file: Path | None = None
    contents: Contents = NOWHERE
    """Where what has been read of files is remembered."""

    @cached_property
    def splits(self) -> LazySplits[Instances]:
        """The splits that have a role; raises DataError where there is none."""
        if self.format == COCO:
            files = self._files
            return LazySplits(
                stored_names(files),
                lambda split: open_instances(files[split].annotations, files[split].images, self.contents),
            )
        folder = self._voc
        found, _ = annotated_voc_splits(folder, "Main")
        return LazySplits(stored_names(found), lambda split: read_voc_instances(folder, split, self._classes))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is left out or suspect, by split; reads all splits."""
        images = [note for split, instances in self.splits.items() for note in image_notes(split, instances)]
        return (*self.notes_of_annotations, *images)

    @property
    def notes_of_annotations(self) -> tuple[Note, ...]:
        """The same of lists and annotations alone, whatever is asked of images without an object."""
        lists = annotated_voc_splits(self._voc, "Main")[1] if self.format == VOC else ()
        return (*lists, *split_notes_of(self.splits))

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories in the order of their ids; those of the last split, which is read faster than train."""
        last = tuple(self.splits)[-1]
        if self.format == COCO:
            return open_categories(self._files[last].annotations, self.contents)
        return self.splits[last].categories

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, by index."""
        return tuple(category.name for category in self.categories)

    def digest(self, contents: Contents) -> str:
        """Digest all splits; raises DataError where their categories differ."""
        categories = self.splits[tuple(self.splits)[-1]].categories
        digest = hashlib.sha256(repr([(c.category_id, c.name) for c in categories]).encode())
        for split, instances in self.splits.items():
            require_same_categories(categories, instances.categories, instances.sources[0])
            digest.update(f"\n{split} {digest_of_instances(instances, contents)}".encode())
        return digest.hexdigest()

    def shared_images(self, contents: Contents) -> tuple[Note, ...]:
        """Say which images stand in more than one split."""
        return shared_images(
            {split: [_known(image) for image in instances.images] for split, instances in self.splits.items()}, contents
        )

    @cached_property
    def _files(self) -> dict[str, SplitFile]:
        return find_instance_files(self.root)

    @property
    def _voc(self) -> Path:
        folder = find_voc_folder(self.root)
        if folder is None:
            raise DataError(f"{self.root} has no ImageSets folder of VOC. Give its root, or VOCdevkit/VOC2007.")
        return folder

    @cached_property
    def _classes(self) -> ClassFile | None:
        return None if self.class_file is None else read_class_file(self.class_file)


def read_objects(root: Path, format: str, class_file: Path | None = None, contents: Contents = NOWHERE) -> ObjectFolder:
    """Take a folder in the format `coco` or `voc`; files are read, and DataError raised, when they are asked for."""
    return ObjectFolder(root, format, class_file, contents)


def object_format(root: Path) -> str:
    """Tell a folder's format by what is in it; raises DataError naming what is understood."""
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder in COCO's layout, or Pascal VOC's.")
    if annotation_files(root, "instances"):
        return COCO
    if is_voc(root):
        return VOC
    seen = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{root} has no boxes in a format that is known (seen: {seen}). Wanted: annotations/instances_*.json (COCO) "
        "or VOC's ImageSets/ and Annotations/."
    )


def open_object_folder(root: Path, context: DataContext, options: dict[str, Any]) -> Dataset:
    """Open a folder for detection; `options` are the task's own, of which the digest covers the texts' templates."""
    from tasks.scenes_data.open import scene_text_digest

    class_file = context.settings.get("classes")
    path = None if class_file is None else Path(str(class_file)).expanduser().resolve()
    contents = Contents.of_one_opening(context.cache, context.progress)
    found = read_objects(root, object_format(root), path, contents)
    if found.format == COCO:
        refuse_settings(context, ("classes",), f"is for VOC's format; {root}'s files name their classes")
    roles = roles_of(root, found.splits, context.split)
    novel, kept = chosen_categories(context.settings.get("novel"), found.names)
    for instances in found.splits.values():
        check_sizes_once(instances.images, instances.sources, context, contents)
    samples = {"templates": options["templates"], "novel": novel, "kept": kept}
    options = {**options, **samples, "format": found.format, "class_file": None if path is None else str(path)}
    digest, notes = scene_text_digest(found.digest(contents), samples), (*found.notes, *found.shared_images(contents))
    return folder_dataset(root, roles, "objects", digest, options=options, cache=context.cache, notes=notes)


def object_folder_of(data: Dataset) -> ObjectFolder:
    """Take an opened data set's folder again."""
    class_file = data.options["class_file"]
    path = None if class_file is None else Path(class_file)
    return read_objects(data.root, data.options["format"], path, Contents(data.cache))


def object_samples(data: Dataset, split: str) -> list[Sample]:
    """Read a split; objects of novel categories are left out of the training and the selection split.

    An image that shows novel objects only is left out with them: it would teach that they are background.
    """
    instances = object_folder_of(data).splits[stored_split(data, split)]
    if data.options["kept"] is not None:
        instances = only_categories(instances, data.options["kept"])
    samples = part_of(data, split, object_samples_of(instances))
    if data.options["novel"] and split in (data.training_split, data.selection_split):
        names = [category.name for category in instances.categories]
        novel = [names.index(name) for name in data.options["novel"]]
        samples = [kept for sample in samples if (kept := _without(sample, novel)) is not None]
    if not samples:
        raise DataError(f"{data.root}: the split {split} has no samples. Choose another with --split.")
    return samples


def object_samples_of(instances: Instances) -> list[Sample]:
    """Turn images into samples in their order; the id of a sample is its image's."""
    return [
        Sample(image.sample_id, image.path, box_target(image, objects))
        for image, objects in zip(instances.images, instances.objects, strict=True)
    ]


def box_target(image: ImageEntry, objects: ImageObjects) -> BoxTarget:
    """Turn boxes in px to fractions of the image's sides."""
    import numpy as np

    sides = np.array([image.width, image.height, image.width, image.height], dtype=np.float64)
    return BoxTarget(
        image_id=str(image.image_id),
        name=image.name,
        width_px=image.width,
        height_px=image.height,
        boxes=tuple(map(tuple, (objects.boxes / sides).tolist())),
        labels=tuple(objects.category_index.tolist()),
        crowd=tuple(objects.iscrowd.tolist()),
        objects=objects,
    )


def object_classes(data: Dataset) -> Classes:
    """The classes of an opened folder, worded by its templates."""
    from tasks.datasets.prompts import fill, read_templates, spoken

    templates = read_templates(data.options["templates"])
    kept, novel = data.options["kept"], data.options["novel"]
    names = [name for name in object_folder_of(data).names if kept is None or name in kept]
    return Classes(
        names=tuple(names),
        texts=tuple(fill(templates, [spoken(name)]) for name in names),
        seen=tuple(name not in novel for name in names),
    )


def only_categories(instances: Instances, names: Sequence[str]) -> Instances:
    """Leave out all other categories and their objects; images stay."""
    import numpy as np

    kept = [category.name in names for category in instances.categories]
    number = np.cumsum(kept) - 1
    objects = tuple(
        replace(chosen, category_index=number[chosen.category_index])
        for chosen in (chosen_objects(own, np.array(kept)[own.category_index]) for own in instances.objects)
    )
    return replace(instances, objects=objects, categories=tuple(compress(instances.categories, kept)))


def chosen_objects(objects: ImageObjects, kept: npt.NDArray[np.bool_]) -> ImageObjects:
    """Keep some of an image's objects, bool `[n]`."""
    return ImageObjects(
        objects.annotation_ids[kept],
        objects.category_index[kept],
        objects.boxes[kept],
        objects.stated_boxes[kept],
        objects.areas[kept],
        objects.iscrowd[kept],
        chosen_masks(objects.segmentations, kept),
    )


def _known(image: ImageEntry) -> KnownImage:
    return KnownImage(image.name, image.path, image.name) if image.name else coco_image(image.image_id, image.path)


def image_notes(split: str | None, instances: Instances) -> list[Note]:
    """Say how many images show no object, or only such as are not asked for."""
    total = len(instances.images)
    empty, crowds = _with_none_or_crowds_only(instances.objects)
    found = (
        (empty, "images have no object: whatever is found there is wrong"),
        (crowds, "images have crowds or difficult objects only: nothing there has to be found"),
    )
    return [Note(f"{count} of {total} {text}", split, count, total) for count, text in found if count]


def _with_none_or_crowds_only(every: Sequence[ImageObjects]) -> tuple[int, int]:
    """How many images have no object, and how many have crowds or difficult objects only."""
    if isinstance(every, MappedObjects):
        return every.with_none_or_crowds_only
    empty = sum(not len(objects) for objects in every)
    return empty, sum(bool(len(objects)) and bool(objects.iscrowd.all()) for objects in every)


def _without(sample: Sample, categories: Sequence[int]) -> Sample | None:
    """Leave objects of these categories out of a sample; None where nothing else was annotated."""
    import numpy as np

    target: BoxTarget = sample.target
    assert target.objects is not None
    kept = ~np.isin(target.objects.category_index, categories)
    if kept.all():
        return sample
    if not kept.any():
        return None
    image = ImageEntry(int(target.image_id), sample.image, target.width_px, target.height_px, target.name)
    return replace(sample, target=box_target(image, chosen_objects(target.objects, kept)))
