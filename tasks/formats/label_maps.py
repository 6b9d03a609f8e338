"""Photographs with a label image each, and what the stored label values mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.sample import Note
from harness.storage.content import Contents
from tasks.formats.class_names import ClassFile, Colour
from tasks.formats.coco_entries import Category
from tasks.formats.digests import NOWHERE, digest_of_files
from tasks.formats.index_png import IndexMap, StoredLabels, read_label_image

MapValues = npt.NDArray[np.integer[Any]]
BORDER = 255
"""The label value that is ignored in every format unless a class has it."""
STRANGE = -2
"""In place of a class: what a stored value means that is neither a class nor ignored."""
BYTES = np.arange(256)
"""The values that a label image of 8 bits may hold."""
_LEFT_OUT = -1
_MOST_VALUES = 4096
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})
"""Classes of these names, in any case, are not classes: their pixels are ignored."""


@dataclass(frozen=True)
class LabelScheme:
    """What label values mean: `values[i]` is the stored value of class i; `ignored` are values left out of scores."""

    class_names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: frozenset[int]
    colours: Mapping[Colour, int] | None = None

    @property
    def ignore_index(self) -> int:
        """What `class_map` gives for ignored pixels: 255, or -1 where there are so many classes that 255 is one."""
        return 255 if len(self.class_names) <= 255 else -1

    def meaning(self, values: MapValues, ignored: int) -> npt.NDArray[np.int64]:
        """[V] the class of each of some stored values: `ignored` where it is ignored, STRANGE where it is neither."""
        found = self._meaning_of_bytes if values is BYTES else self._look_up(values)
        return np.where(found == _LEFT_OUT, ignored, found)

    @cached_property
    def _meaning_of_bytes(self) -> npt.NDArray[np.int64]:
        return self._look_up(BYTES)

    def _look_up(self, values: MapValues) -> npt.NDArray[np.int64]:
        known = dict.fromkeys(self.ignored, _LEFT_OUT) | {value: i for i, value in enumerate(self.values)}
        return np.array([known.get(value, STRANGE) for value in values.tolist()], np.int64)


@dataclass(frozen=True)
class LabelEntry:
    """An image and its label image."""

    image_id: str
    image: Path
    labels: Path


@dataclass(frozen=True)
class LabelMaps:
    """The label images of a split, in a fixed order."""

    entries: tuple[LabelEntry, ...]
    scheme: LabelScheme
    sources: tuple[Path, ...] = ()
    notes: tuple[Note, ...] = ()


def class_map(entry: LabelEntry, scheme: LabelScheme) -> IndexMap:
    """Read class indices `[H, W]` of the upright image, `scheme.ignore_index` where ignored.

    uint8 for up to 255 classes, int16 above. Raises DataError for values that are not in the class list, and for
    a label image whose size is not its image's.
    """
    return to_class_map(read_stored_map(entry, scheme), scheme, entry.labels)


def read_stored_map(entry: LabelEntry, scheme: LabelScheme) -> StoredLabels:
    """Read stored values `[H, W]`; raises DataError for a label image whose size is not its image's."""
    from harness.inputs.images import image_size

    labels = read_label_image(entry.labels, scheme.colours)
    size = image_size(entry.image)
    if labels.shape != size[::-1]:
        raise DataError(
            f"{entry.labels} has {labels.shape[1]} x {labels.shape[0]} px and {entry.image} {size[0]} x {size[1]} px "
            "once turned as its EXIF says. Both must be of one size; nothing is resized."
        )
    return labels


def to_class_map(labels: StoredLabels, scheme: LabelScheme, path: Path) -> IndexMap:
    """Turn stored values `[H, W]` to class indices; raises DataError naming a value that means nothing."""
    values, place = values_and_places(labels)
    meaning = scheme.meaning(values, scheme.ignore_index)
    found = np.take(meaning.astype(np.int16), place, mode="clip")  # which is faster than to look for places outside
    if int(found.min(initial=0)) == STRANGE:
        counts = np.bincount(place.ravel(), minlength=len(values))
        require_known_values(values[counts > 0], counts[counts > 0], scheme, path)
    return found.astype(np.uint8) if scheme.ignore_index == BORDER else found


def values_and_places(labels: MapValues) -> tuple[npt.NDArray[np.int64], MapValues]:
    """The values [V] that a map may hold, ascending, and the place of each pixel's value among them `[H, W]`."""
    if labels.dtype == np.uint8:
        return BYTES, labels
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if highest - lowest < _MOST_VALUES:
        return np.arange(lowest, highest + 1), labels - lowest
    values, place = np.unique(labels, return_inverse=True)
    return values.astype(np.int64), place.reshape(labels.shape)


def require_known_values(values: MapValues, counts: MapValues, scheme: LabelScheme, path: Path) -> None:
    """Raise DataError for the first of an image's values, with their pixels, that is neither a class nor ignored."""
    strange = ~np.isin(values, [*scheme.values, *scheme.ignored])
    if strange.any():
        first = int(np.flatnonzero(strange)[0])
        raise DataError(
            f"{path} has the label {values[first]} in {counts[first]} pixels ({strange.sum()} such values in all), "
            f"which is not in the class list ({len(scheme.class_names)} classes, values {_span(scheme.values)}; "
            f"ignored {sorted(scheme.ignored)}). Give the list that these labels were made with (--classes FILE); "
            "a value that it names void is ignored."
        )


def scheme_of_classes(classes: ClassFile) -> LabelScheme:
    """Understand a class file: 255 is ignored, 0 too where values begin at 1 (ADE20K), and classes named void."""
    void = {value for name, value in zip(classes.names, classes.values, strict=True) if name.lower() in VOID_NAMES}
    kept = [(name, value) for name, value in zip(classes.names, classes.values, strict=True) if value not in void]
    if not kept:
        raise DataError(f"{classes.path} names no class beside void ones. Give a file with classes.")
    names, values = zip(*kept, strict=True)
    ignored = void | {BORDER} | ({0} if min(classes.values) == 1 else set())
    colours = None if classes.colours is None else dict(zip(classes.colours, classes.values, strict=True))
    return LabelScheme(names, values, frozenset(ignored.difference(values)), colours)


def scheme_of_categories(categories: Sequence[Category]) -> LabelScheme:
    """Understand maps whose values are category ids; 0 (unlabelled) and 255 are ignored unless they are ids."""
    values = tuple(category.category_id for category in categories)
    names = tuple(category.name for category in categories)
    return LabelScheme(names, values, frozenset({0, BORDER}.difference(values)))


def digest_of_label_maps(maps: LabelMaps, contents: Contents = NOWHERE) -> str:
    """Digest classes, lists and label images by their bytes, and the names and bytes of the images."""
    scheme = maps.scheme
    facts = [repr((scheme.class_names, scheme.values, sorted(scheme.ignored), sorted((scheme.colours or {}).items())))]
    files = [*maps.sources, *(entry.labels for entry in maps.entries)]
    return digest_of_files(facts, files, ((entry.image.name, entry.image) for entry in maps.entries), contents)


def _span(values: Sequence[int]) -> str:
    return f"{min(values)}..{max(values)}"
