"""The pixels of annotated objects: what explanations of labels and boxes are held against."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.formats.segmentations import decode_runs

if TYPE_CHECKING:
    from tasks.formats.coco_instances import ImageObjects


def mask_of_objects(
    objects: ImageObjects, width: int, height: int, only: Collection[int] | None = None
) -> npt.NDArray[np.bool_] | None:
    """Union of the masks of objects, or of their boxes where they have none: bool `[H, W]`; None where there is none.

    `only` are the classes that count. Crowds are left out: what they cover is not only them.
    """
    whole = np.zeros((height, width), dtype=np.bool_)
    found = False
    for place in range(len(objects)):
        if objects.iscrowd[place] or (only is not None and int(objects.category_index[place]) not in only):
            continue
        found = True
        segmentation = objects.segmentations[place]
        if isinstance(segmentation, dict):
            whole |= decode_runs(segmentation).astype(np.bool_)
        elif segmentation:
            from pycocotools import mask

            whole |= decode_runs(mask.merge(mask.frPyObjects(segmentation, height, width))).astype(np.bool_)
        else:
            left, top, across, down = objects.boxes[place]
            rows, columns = (slice(int(a), max(int(a) + 1, round(a + b))) for a, b in ((top, down), (left, across)))
            whole[rows, columns] = True
    return whole if found else None
