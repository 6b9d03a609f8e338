"""Parts of a split in which models may differ: by the length of captions, the size and number of objects."""

from __future__ import annotations

from collections.abc import Sequence

from harness.sample import Sample
from tasks.targets.targets import BoxTarget

SlicePlaces = dict[str, list[int]]
_SMALL_PX2, _MEDIUM_PX2 = 32**2, 96**2
"""COCO's bounds between small, medium and large objects."""


def length_slices(samples: Sequence[Sample]) -> dict[str, SlicePlaces]:
    """Thirds of the images, by how many words their reference captions have on average."""
    words = [sum(len(r.split()) for r in s.target.references) / len(s.target.references) for s in samples]
    if len(set(words)) < 3:
        return {}
    ordered = sorted(words)
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    names = [
        f"up to {low:.1f} words" if count <= low else f"over {high:.1f} words" if count > high else "between"
        for count in words
    ]
    return {"caption length": _places(names)}


def object_slices(samples: Sequence[Sample]) -> dict[str, SlicePlaces]:
    """Images by the size of their largest object (COCO's small, medium, large) and by the number of objects."""
    return {
        "largest object": _places([_size(sample.target) for sample in samples]),
        "objects": _places([_number(sum(not crowd for crowd in sample.target.crowd)) for sample in samples]),
    }


def _places(names: Sequence[str]) -> SlicePlaces:
    found: SlicePlaces = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def _size(target: BoxTarget) -> str:
    if target.objects is not None:
        areas: Sequence[float] = target.objects.areas.tolist()
    else:
        areas = [w * h * target.width_px * target.height_px for _, _, w, h in target.boxes]
    counted = [area for area, crowd in zip(areas, target.crowd, strict=True) if not crowd]
    if not counted:
        return "none"
    largest = max(counted)
    return "small" if largest < _SMALL_PX2 else "medium" if largest < _MEDIUM_PX2 else "large"


def _number(count: int) -> str:
    return "none" if count == 0 else "one" if count == 1 else "2 to 4" if count < 5 else "5 or more"
