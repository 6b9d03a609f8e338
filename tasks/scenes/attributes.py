"""Labels for pretraining a vision backbone on its own: what is present in each training image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tasks.scenes import factors, layout

TRAINING_SPLITS: Final = ("train", "tiny", "groups-train")
_CELLS: Final = ("left", "middle", "right")
_CENTRE_BANDS_PX: Final = (43, 86)


def attribute_names() -> tuple[str, ...]:
    """The columns of `attribute_targets`, as "factor=value"."""
    groups: dict[str, tuple[Any, ...]] = {
        "shape": factors.SHAPES,
        "pattern": factors.PATTERNS,
        "part": factors.PARTS,
        "colour": factors.COLOURS,
        "size": factors.SIZES,
        "ground": factors.GROUNDS,
        "sky": (*factors.SKIES, factors.NIGHT_SKY),
        "light": factors.TRAINING_LIGHTS,
        "count": (0, 1, 2, 3, 4),
        "position": _CELLS,
    }
    names = [f"{group}={value}" for group, values in groups.items() for value in values]
    for first, second in (
        ("colour", "shape"),
        ("pattern", "shape"),
        ("part", "shape"),
        ("position", "shape"),
    ):
        names += [f"{first}+{second}={a} {b}" for a in groups[first] for b in groups[second]]
    return tuple(names)


def attribute_targets(root: Path, split: str = "train") -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """(int8 [images, attributes] of 0 and 1, names); rows in the order of the split's images.

    Night images have 0 for what night hides (colour, pattern, ground). Held-out splits are refused, so that
    a backbone can never have been pretrained on what it is tested on.
    """
    if split not in TRAINING_SPLITS:
        raise ValueError(f"attribute targets come from training splits, got {split!r}; use one of {TRAINING_SPLITS}")
    names = attribute_names()
    column = {name: i for i, name in enumerate(names)}
    captions = json.loads(layout.annotation_file(root, "captions", split).read_bytes())["images"]
    scenes = json.loads(layout.annotation_file(root, "scenes", split).read_bytes())["images"]
    instances = json.loads(layout.annotation_file(root, "instances", split).read_bytes())["annotations"]
    boxes = {row["id"]: row["bbox"] for row in instances}
    targets = np.zeros((len(scenes), len(names)), dtype=np.int8)
    for i, (image, scene) in enumerate(zip(captions, scenes, strict=True)):
        found = [column[name] for name in _present(image["facts"], scene, boxes) if name in column]
        targets[i, found] = 1
    return targets, names


def _present(facts: dict[str, Any], scene: dict[str, Any], boxes: dict[int, list[int]]) -> Iterator[str]:
    night = scene["light"] == "night"
    yield f"sky={facts['sky']}"
    yield f"light={scene['light']}"
    yield f"count={len(facts['objects'])}"
    if not night:
        yield f"ground={facts['ground']}"
    for item, annotation in zip(facts["objects"], scene["objects"], strict=True):
        said = {**item, "position": _cell(boxes[annotation])}
        for factor in ("shape", "part", "size", "position", "colour", "pattern"):
            if night and factor in ("colour", "pattern"):
                continue
            yield f"{factor}={said[factor]}"
            yield f"{factor}+shape={said[factor]} {item['shape']}"


def _cell(box: list[int]) -> str:
    centre = box[0] + box[2] // 2
    return _CELLS[sum(centre >= edge for edge in _CENTRE_BANDS_PX)]
