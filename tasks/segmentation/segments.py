"""Panoptic segments, of the truth and of what was predicted, in the form in which they are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.affine import Affine
from harness.metrics.maps.panoptic_segments import VOID, PanopticCategories, SegmentMap
from tasks.formats.coco_entries import Category
from tasks.formats.coco_panoptic import PanopticEntry, Segment, is_thing, segment_map
from tasks.targets.targets import MapTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEAST_PX = 16
"""A connected part of a thing that has fewer pixels is no segment of its own: it becomes void."""


@dataclass(frozen=True)
class PanopticClasses:
    """The classes by index as categories of things and stuff."""

    categories: tuple[Category, ...]

    @cached_property
    def compared(self) -> PanopticCategories:
        """As the metric wants them."""
        return PanopticCategories(
            [{"id": c.category_id, "name": c.name, "isthing": int(is_thing(c))} for c in self.categories]
        )

    def segments_of_labels(self, labels: npt.NDArray[np.integer[Any]]) -> SegmentMap:
        """Turn class indices `[H, W]` to segments: one of each kind of stuff, and of things one a connected part.

        Parts are connected through sides, not corners; those of things under 16 px are dropped. Values that are no
        index of a class become void.
        """
        import numpy as np
        from scipy import ndimage

        ids = np.full(labels.shape, VOID, dtype=np.int32)
        infos: list[dict[str, int]] = []
        numbers = np.where(labels < len(self.categories), labels, -1).astype(np.int32) + 1  # 0 is no class
        places = ndimage.find_objects(numbers, len(self.categories))
        for number, (category, place) in enumerate(zip(self.categories, places, strict=True), start=1):
            if place is None:
                continue
            here = numbers[place] == number
            parts, count = ndimage.label(here) if is_thing(category) else (here.astype(np.int32), 1)
            least = LEAST_PX if is_thing(category) else 1
            kept = np.flatnonzero(np.bincount(parts.ravel(), minlength=count + 1)[1:] >= least) + 1
            numbering = np.zeros(count + 1, dtype=np.int32)
            numbering[kept] = len(infos) + 1 + np.arange(len(kept))
            ids[place][here] = numbering[parts[here]]
            infos += [{"id": int(segment), "category_id": category.category_id} for segment in numbering[kept]]
        return SegmentMap(ids, infos)


def true_segments(target: MapTarget) -> SegmentMap:
    """Read the segments of an image; raises DataError unless its PNG and its JSON have the same ones."""
    assert target.panoptic is not None
    segments = read_segments(target.panoptic)
    for affine in target.affines:
        segments = _moved(segments, affine)
    return segments


def _moved(segments: SegmentMap, affine: Affine) -> SegmentMap:
    """Move segments with their image; those that leave it are gone."""
    import numpy as np

    from harness.perturb.image.geometry import warp_labels

    ids = warp_labels(segments.ids, affine, VOID)
    left = set(np.unique(ids).tolist())
    return SegmentMap(ids, [info for info in segments.segments_info if info["id"] in left])


def read_segments(entry: PanopticEntry) -> SegmentMap:
    """Read a panoptic PNG with its segments."""
    infos = [
        {"id": segment.segment_id, "category_id": segment.category_id, "iscrowd": int(segment.iscrowd)}
        for segment in entry.segments
    ]
    return SegmentMap(segment_map(entry), infos)


def given_segments(target: MapTarget, png: Path, segments: Sequence[Sequence[int]]) -> SegmentMap:
    """Read predicted segments, given as (segment id, category id); raises DataError for a map of another size."""
    entry = PanopticEntry(
        image_id=int(target.image_id),
        path=png,
        width=target.width_px,
        height=target.height_px,
        png=png,
        segments=tuple(Segment(segment, category, False) for segment, category in segments),
    )
    return read_segments(entry)


def labels_of_segments(segments: SegmentMap, index: Mapping[int, int], void: int) -> npt.NDArray[np.int64]:
    """Give each pixel the class index of its segment, `void` where it has none."""
    import numpy as np

    meaning = {VOID: void} | {info["id"]: index[info["category_id"]] for info in segments.segments_info}
    known = np.array(sorted(meaning), dtype=np.int64)
    values = np.array([meaning[number] for number in sorted(meaning)], dtype=np.int64)
    labels: npt.NDArray[np.int64] = values[np.searchsorted(known, segments.ids)]
    return labels
