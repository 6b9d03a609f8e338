"""What is right for a set of images in detection: COCO's instances, checked and turned into columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.stats.resampling import FloatArray, IntArray

_KEYS = ("id", "image_id", "category_id", "bbox", "area")


@dataclass(frozen=True)
class TruthColumns:
    """The annotations of all images as M rows, in the order of the file.

    Images are numbered in the order of their ids, and so are categories: COCO breaks ties in that order.
    """

    image: IntArray  # [M] 0..N-1
    category: IntArray  # [M] 0..K-1
    boxes: FloatArray  # [M, 4] x, y, width, height in pixels
    area: FloatArray  # [M] in pixels
    crowd: IntArray  # [M] 0 or 1
    segmentations: tuple[Any, ...]  # [M] as in the file, None where there is none
    annotation_ids: tuple[Any, ...]  # [M] as in the file

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class DetectionTruth:
    """COCO's instances dict with the order of its samples; raises DataError for what is broken in it.

    `instances` has `images` (id; height and width in pixels where masks are compared), `categories` (id, name) and
    `annotations` (id, image_id, category_id, bbox, area; iscrowd and segmentation where there are any).
    `image_ids` are the samples [N]; annotations of other images are left out. `source` is named in errors.
    """

    instances: Mapping[str, Any]
    image_ids: tuple[int, ...]
    source: str = "the annotations"

    def __post_init__(self) -> None:
        _require_lists(self.instances, self.source)
        if not self.image_ids:
            raise DataError(f"{self.source} has no images, so there is nothing to score. Check the split.")
        _require_distinct(self.image_ids, "image id", self.source)
        if missing := set(self.image_ids) - set(self.images):
            raise DataError(f"{self.source} has no image with id {sorted(missing)[0]}. Give its own image ids.")
        if not self.categories:
            raise DataError(f"{self.source} has no categories. Give a file in the format of COCO's instances.")
        _require_distinct([str(category["name"]) for category in self.categories], "category name", self.source)

    @classmethod
    def whole(cls, instances: Mapping[str, Any], source: str = "the annotations") -> DetectionTruth:
        """Take all images, in the order of the file."""
        _require_lists(instances, source)
        _by_id(instances["images"], ("id",), "image", source)
        return cls(instances, tuple(image["id"] for image in instances["images"]), source)

    @cached_property
    def images(self) -> Mapping[int, Mapping[str, Any]]:
        """The images of the file by id."""
        return _by_id(self.instances["images"], ("id",), "image", self.source)

    @cached_property
    def categories(self) -> tuple[Mapping[str, Any], ...]:
        """[K] the categories in the order of their ids."""
        return tuple(_by_id(self.instances["categories"], ("id", "name"), "category", self.source).values())

    @cached_property
    def image_numbers(self) -> Mapping[int, int]:
        """The number 0..N-1 of each image in the order of ids."""
        return {image_id: number for number, image_id in enumerate(sorted(self.image_ids))}

    @cached_property
    def category_numbers(self) -> Mapping[int, int]:
        """The number 0..K-1 of each category in the order of ids."""
        return {category["id"]: number for number, category in enumerate(self.categories)}

    @cached_property
    def sample_of_image(self) -> IntArray:
        """[N] which sample, in the order of `image_ids`, the image of each number is."""
        return np.argsort([self.image_numbers[i] for i in self.image_ids], kind="stable").astype(np.int64)

    @cached_property
    def sizes(self) -> IntArray:
        """[N, 2] height and width in pixels of the images in the order of ids."""
        rows = [[self.images[i].get("height"), self.images[i].get("width")] for i in self.image_numbers]
        for image_id, row in zip(self.image_numbers, rows, strict=True):
            if not all(isinstance(side, int) and side > 0 for side in row):
                raise DataError(
                    f"{self.source}: image {image_id} has height and width {row}. Masks need both, in whole pixels."
                )
        return np.array(rows, dtype=np.int64)

    @cached_property
    def columns(self) -> TruthColumns:
        """The annotations of the samples, checked."""
        annotations = self.instances["annotations"]
        if not self._are_right(annotations):
            for number, annotation in enumerate(annotations):
                self._check(annotation, f"{self.source}: annotation {number} (the first is 0)")
        _require_distinct([a["id"] for a in annotations], "annotation id", self.source)
        kept = [a for a in annotations if a["image_id"] in self.image_numbers]
        return TruthColumns(
            image=np.array([self.image_numbers[a["image_id"]] for a in kept], dtype=np.int64),
            category=np.array([self.category_numbers[a["category_id"]] for a in kept], dtype=np.int64),
            boxes=np.array([a["bbox"] for a in kept], dtype=np.float64).reshape(-1, 4),
            area=np.array([a["area"] for a in kept], dtype=np.float64),
            crowd=np.array([a.get("iscrowd", 0) for a in kept], dtype=np.int64),
            segmentations=tuple(a.get("segmentation") for a in kept),
            annotation_ids=tuple(a["id"] for a in kept),
        )

    def numbers_of(self, category_ids: Collection[int]) -> IntArray:
        """The numbers of these categories, ascending; raises DataError for one that is unknown."""
        if unknown := set(category_ids) - set(self.category_numbers):
            raise DataError(f"{self.source} has no category with id {sorted(unknown)[0]}.")
        return np.array(sorted(self.category_numbers[i] for i in set(category_ids)), dtype=np.int64)

    def _are_right(self, annotations: Sequence[Any]) -> bool:
        """Check whole columns at once; where that finds anything unusual, `_check` says what is wrong, if anything."""
        try:
            boxes, areas = [a["bbox"] for a in annotations], [a["area"] for a in annotations]
            numbers, sizes = np.array(boxes, np.float64).reshape(-1, 4), np.array(areas, np.float64)
            return bool(
                {len(box) for box in boxes} <= {4}
                and set(map(type, chain(areas, *boxes))) <= {int, float}
                and np.isfinite(numbers).all() and np.isfinite(sizes).all()
                and (numbers[:, 2:] >= 0).all() and (sizes >= 0).all()
                and all(type(a["id"]) is int for a in annotations)
                and all(a["image_id"] in self.images for a in annotations)
                and all(a["category_id"] in self.category_numbers for a in annotations)
                and all(a.get("iscrowd", 0) in (0, 1) for a in annotations)
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            return False

    def _check(self, annotation: Any, place: str) -> None:
        require_truth_keys(annotation, _KEYS, place)
        if not isinstance(annotation["id"], int | str):
            raise DataError(f"{place} has id {annotation['id']!r}. It must be a whole number.")
        require_known(annotation["image_id"], self.images, f"{place}: image_id")
        require_known(annotation["category_id"], self.category_numbers, f"{place}: category_id")
        require_box(annotation["bbox"], place)
        if not _is_size(annotation["area"]):
            raise DataError(f"{place} has area {annotation['area']!r}. It must be a finite number >= 0, in pixels.")
        if annotation.get("iscrowd", 0) not in (0, 1):
            raise DataError(f"{place} has iscrowd {annotation['iscrowd']!r}. It must be 0 or 1.")


def require_truth_keys(entry: Any, keys: Sequence[str], place: str) -> None:
    """Raise DataError for an entry that is no mapping or lacks a key."""
    if not isinstance(entry, Mapping):
        raise DataError(f"{place} is {type(entry).__name__}, not an object with {', '.join(keys)}.")
    for key in keys:
        if key not in entry:
            raise DataError(f"{place} has no '{key}'; it has {', '.join(map(str, entry)) or 'no keys'}. Add the key.")


def require_known(value: Any, known: Collection[int], place: str) -> None:
    """Raise DataError for an id that is not one of those known."""
    if not _passes(lambda: value in known):
        raise DataError(f"{place} {value!r} is unknown: none of the {len(known)} in use. Score with the right files.")


def require_box(box: Any, place: str) -> None:
    """Raise DataError for a box that is not four finite numbers, x, y, width >= 0, height >= 0."""
    if not _passes(lambda: len(box) == 4 and all(map(is_number, box)) and box[2] >= 0 and box[3] >= 0):
        raise DataError(f"{place} has bbox {box!r}. It must be [x, y, width, height]: finite, with no size below 0.")


def is_number(value: Any) -> bool:
    """Whether a value is a finite real number, and not true or false."""
    return isinstance(value, Real) and not isinstance(value, bool) and _passes(lambda: math.isfinite(value))


def _require_lists(instances: Any, source: str) -> None:
    for key in ("images", "annotations", "categories"):
        if not isinstance(instances, Mapping) or not isinstance(instances.get(key), Sequence):
            raise DataError(f"{source} has no list '{key}'. Give a file in the format of COCO's instances.")


def _is_size(value: Any) -> bool:
    return is_number(value) and value >= 0


def _passes(test: Callable[[], bool]) -> bool:
    """Whether a test of a value of any type at all holds; one that it cannot be put to does not."""
    try:
        return bool(test())
    except (TypeError, ValueError, LookupError, OverflowError):
        return False


def _by_id(entries: Sequence[Any], keys: Sequence[str], noun: str, source: str) -> dict[int, Mapping[str, Any]]:
    for number, entry in enumerate(entries):
        require_truth_keys(entry, keys, f"{source}: {noun} {number} (the first is 0)")
        if not isinstance(entry["id"], int) or isinstance(entry["id"], bool):
            raise DataError(f"{source}: {noun} {number} (the first is 0) has id {entry['id']!r}, not a whole number.")
    _require_distinct([entry["id"] for entry in entries], f"{noun} id", source)
    return {entry["id"]: entry for entry in sorted(entries, key=lambda entry: entry["id"])}


def _require_distinct(values: Sequence[Any], noun: str, source: str) -> None:
    if len(set(values)) == len(values):
        return
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise DataError(f"{source}: the {noun} {value!r} occurs more than once. Make it distinct.")
        seen.add(value)
