"""What of a target or of an answer can be drawn over its image: boxes with names, or a small map of classes.

| kind  | content                                                                                                |
|-------|--------------------------------------------------------------------------------------------------------|
| boxes | `{"boxes": [[class name, score or null, x, y, width, height], …], "left_out": how many more there are}` |
| maps  | `{"label_map_png": …}`, what `harness.answers.encode_label_map` makes of class indices                   |

Boxes are in fractions of the image, as in `harness.answers`. Other kinds of answer are words, and are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.answers import BOXES, LEAST_SCORE, MAPS, decode_label_map, encode_label_map, resize_label_map
from harness.sample import TaskSpec

_MOST_BOXES = 12
_LONGEST_CELLS = 96

Drawn = Mapping[str, Any]


def drawable_target(target: Any, spec: TaskSpec) -> Drawn | None:
    """Take from a target what is right, None where it is of no kind that is drawn."""
    if spec.answers == BOXES:
        crowd = [bool(each) for each in getattr(target, "crowd", ())]
        names = [spec.classes.names[index] for index in target.labels]
        named = [f"{name} (crowd)" if place < len(crowd) and crowd[place] else name for place, name in enumerate(names)]
        return _boxes([(name, None, box) for name, box in zip(named, target.boxes, strict=True)])
    return _map(target.label_map()) if spec.answers == MAPS else None


def drawable_answer(answer: Any, spec: TaskSpec) -> Drawn | None:
    """Take from an answer what it says with a score of at least `LEAST_SCORE`, None where it is not drawn."""
    if spec.answers == BOXES:
        sure = sorted((box for box in answer if box[1] >= LEAST_SCORE), key=lambda box: -float(box[1]))
        return _boxes([(spec.classes.names[int(box[0])], float(box[1]), box[2:6]) for box in sure])
    return _map(decode_label_map(answer)) if spec.answers == MAPS else None


def _boxes(found: Sequence[tuple[str, float | None, Sequence[float]]]) -> Drawn:
    rows = [[name, score, *(round(float(end), 5) for end in box)] for name, score, box in found[:_MOST_BOXES]]
    return {"boxes": rows, "left_out": max(0, len(found) - _MOST_BOXES)}


def _map(labels: Any) -> Drawn:
    """Make a map so small that a page can hold many."""
    height, width = labels.shape
    scale = min(1.0, _LONGEST_CELLS / max(width, height))
    return encode_label_map(resize_label_map(labels, max(1, round(width * scale)), max(1, round(height * scale))))
