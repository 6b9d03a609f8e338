"""Which classes of real data are novel: recognised in the test split, and without training objects or pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import UsageError, nearest

OVR_COCO = "ovr-coco"
OVR_BASE = (
    "person", "bicycle", "car", "motorcycle", "train", "truck", "boat", "bench", "bird", "horse", "sheep", "bear",
    "zebra", "giraffe", "backpack", "handbag", "suitcase", "frisbee", "skis", "kite", "surfboard", "bottle", "fork",
    "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "pizza", "donut", "chair", "bed",
    "toilet", "tv", "laptop", "mouse", "remote", "microwave", "oven", "toaster", "refrigerator", "book", "clock",
    "vase", "toothbrush",
)  # fmt: skip
OVR_NOVEL = (
    "airplane", "bus", "cat", "dog", "cow", "elephant", "umbrella", "tie", "snowboard", "skateboard", "cup", "knife",
    "cake", "couch", "keyboard", "sink", "scissors",
)  # fmt: skip
"""The 48 base and 17 novel categories of Zareian et al. 2021 (arXiv 2011.10678); COCO's other 15 are in neither."""


def chosen_categories(wish: Any, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The categories without training objects, by `task.novel`, and those that the data keeps (None: all).

    `wish` is None, names joined by + or a list of them, or `ovr-coco`. Raises UsageError for names that are unknown.
    """
    if wish is None:
        return (), None
    if wish == OVR_COCO:
        lacking = sorted({*OVR_BASE, *OVR_NOVEL}.difference(names))
        if lacking:
            raise UsageError(f"task.novel={OVR_COCO} is for COCO's categories; this data has no '{lacking[0]}'.")
        known = {*OVR_BASE, *OVR_NOVEL}
        return OVR_NOVEL, tuple(name for name in names if name in known)
    return named_classes(wish, names), None


def named_classes(wish: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Read class names joined by +, or listed; raises UsageError for one that is unknown, or where none is left."""
    listed = wish if isinstance(wish, list | tuple) else str(wish).split("+")
    chosen = [name for entry in listed if (name := str(entry).strip())]
    if not chosen:
        raise UsageError("task.novel names no class. Join names with +, or leave it out.")
    for name in chosen:
        if name not in names:
            raise UsageError(f"task.novel: no class '{name}'. {nearest(name, names)}")
    if len(set(chosen)) >= len(names):
        raise UsageError(f"task.novel names all {len(names)} classes; leave at least one to be trained on.")
    return tuple(name for name in names if name in chosen)
