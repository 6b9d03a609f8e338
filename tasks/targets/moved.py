"""Lets what is right for an image follow when the image is moved: boxes and masks, label maps and segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.affine import Affine
from harness.perturb.image.geometry import label_origins, move_points_px, take_labels
from tasks.formats.segmentations import decode_runs, mask_area
from tasks.targets.targets import BoxTarget, MapTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.formats.coco_instances import ImageObjects
    from tasks.formats.segmentations import Segmentation

    Floats = npt.NDArray[np.float64]

LEAST_VISIBLE = 0.25
"""An object of which a smaller share stays in the image is not asked for: it becomes a crowd, as in Scenes."""
_HAIR_PX = 1e-6
"""By so much may the last bits of a sum place a box outside of an image that it fills."""


def moved_map(target: MapTarget, affine: Affine) -> MapTarget:
    """Move the label map, and the segments where there are any, whenever they are read."""
    return replace(target, affines=(*target.affines, affine))


def moved_boxes(target: BoxTarget, affine: Affine) -> BoxTarget:
    """Move the objects of an image; those that leave it entirely are gone.

    A box that neither turns nor is cut is moved as it is stated, else it is the one around the moved mask; around the
    moved corners of the box where there is no mask. Areas are the stated ones times growth and visible share.
    """
    import numpy as np

    mover = _Mover(target, affine)
    moved = {number: item for number in range(len(target.boxes)) if (item := mover.move(number)) is not None}
    kept, found = list(moved), list(moved.values())
    crowd = tuple(bool(target.crowd[number]) or item.share < LEAST_VISIBLE for number, item in moved.items())
    boxes = np.array([item.box for item in found], dtype=np.float64).reshape(-1, 4)
    sides = np.array([target.width_px, target.height_px] * 2, dtype=np.float64)
    objects = target.objects
    if objects is not None:
        objects = replace(
            objects,
            annotation_ids=objects.annotation_ids[kept],
            category_index=objects.category_index[kept],
            boxes=boxes,
            stated_boxes=np.array([item.stated for item in found], dtype=np.float64).reshape(-1, 4),
            areas=objects.areas[kept] * [mover.growth * item.share for item in found],
            iscrowd=np.array(crowd, dtype=np.bool_),
            segmentations=tuple(item.mask for item in found),
        )
    return replace(
        target,
        boxes=tuple(map(tuple, (boxes / sides).tolist())),
        labels=tuple(target.labels[number] for number in kept),
        crowd=crowd,
        objects=objects,
    )


@dataclass(frozen=True)
class _Moved:
    """An object after its image was moved: boxes in px, clipped and as stated; which share of it stays visible."""

    box: Floats
    stated: Floats
    share: float
    mask: Segmentation | None


@dataclass(frozen=True)
class _Mover:
    """Moves the objects of one image, one at a time."""

    target: BoxTarget
    affine: Affine

    @property
    def growth(self) -> float:
        """How many times as large areas become."""
        a, b, _, d, e, _ = self.affine.matrix
        return abs(a * e - b * d)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in px."""
        return self.target.width_px, self.target.height_px

    @cached_property
    def origins(self) -> npt.NDArray[np.int64]:
        """[H, W] where each pixel of a mask comes from."""
        return label_origins(self.affine, *self.size)

    @cached_property
    def boxes(self) -> tuple[Floats, Floats]:
        """Boxes in px before the movement `[n, 4]`, clipped to the image and as stated."""
        import numpy as np

        objects: ImageObjects | None = self.target.objects
        if objects is not None:
            return objects.boxes, objects.stated_boxes
        boxes = np.array(self.target.boxes, dtype=np.float64).reshape(-1, 4) * [*self.size, *self.size]
        return boxes, boxes

    def move(self, number: int) -> _Moved | None:
        """Move an object; None where nothing of it stays in the image."""
        box, stated = (_around(self._points(_corners(boxes[number]))) for boxes in self.boxes)
        mask = None if self.target.objects is None else self.target.objects.segmentations[number]
        upright = self.affine.matrix[1] == self.affine.matrix[3] == 0
        if upright and self._is_inside(box):
            return _Moved(self._clipped(box), stated, 1.0, mask and self._moved_mask(mask))
        if mask is not None and (whole := mask_area(mask, *self.size)) > 0:
            return self._move_by_mask(mask, whole * self.growth)
        seen = self._clipped(box)
        share = float(seen[2:].prod() / box[2:].prod())
        return _Moved(seen, seen, share, mask and self._moved_mask(mask)) if share > 0 else None

    def _move_by_mask(self, mask: Segmentation, whole: float) -> _Moved | None:
        """Take the box and the share from the moved mask, which would cover `whole` px if none of it were cut off."""
        import numpy as np
        from hotcoco import mask as coco

        moved = self._moved_mask(mask)
        if isinstance(moved, list):
            hull = _around(np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in moved]))
            if self._is_inside(hull):
                return _Moved(self._clipped(hull), hull, 1.0, moved)
            moved = coco.merge(coco.frPyObjects(moved, *self.size[::-1]))
        seen = float(coco.area(moved))
        box = np.asarray(coco.toBbox(moved), dtype=np.float64)
        return _Moved(box, box, min(1.0, seen / whole), moved) if seen else None

    def _moved_mask(self, mask: Segmentation) -> Segmentation:
        """Move polygons by their points, which may leave the image, and run lengths pixel by pixel."""
        import numpy as np
        from hotcoco import mask as coco

        if isinstance(mask, list):
            points = [np.reshape(np.asarray(polygon, dtype=np.float64), (-1, 2)) for polygon in mask]
            return [self._points(polygon).ravel().tolist() for polygon in points]
        moved = take_labels(decode_runs(mask), self.origins, 0)
        runs: Segmentation = coco.encode(np.asfortranarray(moved))
        return runs

    def _points(self, points: Floats) -> Floats:
        return move_points_px(points, self.affine, *self.size)

    def _clipped(self, box: Floats) -> Floats:
        import numpy as np

        start, stop = (np.clip(place, 0, self.size) for place in (box[:2], box[:2] + box[2:]))
        return np.concatenate([start, stop - start])

    def _is_inside(self, box: Floats) -> bool:
        return bool((box[:2] >= -_HAIR_PX).all() and (box[:2] + box[2:] <= [s + _HAIR_PX for s in self.size]).all())


def _corners(box: Floats) -> Floats:
    """[4, 2]"""
    import numpy as np

    x, y, width, height = box
    return np.array([(x, y), (x + width, y), (x, y + height), (x + width, y + height)])


def _around(points: Floats) -> Floats:
    """The box around points `[n, 2]`."""
    import numpy as np

    return np.concatenate([points.min(axis=0), np.ptp(points, axis=0)])
