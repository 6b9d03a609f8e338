"""More questions about the training images of track *reference*: every object that an expression can pick.

The data set states one expression an image. A model that meets each image with a single answer can learn the images
by heart instead of the expressions, and does; so in training each image is asked about several of its objects. What
is true is read off the annotations (the objects' facts and boxes); evaluation splits keep their one stated question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.sample import Dataset
from tasks.formats.json_files import read_json
from tasks.scenes import layout
from tasks.scenes.counter_rng import Stream
from tasks.scenes.expressions import candidates, say_candidate
from tasks.scenes.splits import SEED

QUESTIONS = 8
"""At most so many expressions an image, drawn among all that pick one object."""


def read_pickable(data: Dataset, split: str) -> dict[int, tuple[list[dict[str, str]], list[tuple[int, int]]]]:
    """Read by image id what can be said of each visible object, and its centre in px."""
    facts = {
        row["id"]: row["facts"]["objects"]
        for row in read_json(layout.annotation_file(data.root, "captions", split))["images"]
    }
    boxes: dict[int, list[Sequence[int]]] = {}
    for row in read_json(layout.annotation_file(data.root, "instances", split))["annotations"]:
        if not row["iscrowd"]:
            boxes.setdefault(row["image_id"], []).append(row["bbox"])
    centres = {
        image_id: [(box[0] + box[2] // 2, box[1] + box[3] // 2) for box in boxes.get(image_id, [])]
        for image_id in facts
    }
    return {image_id: (objects, centres[image_id]) for image_id, objects in facts.items()}


def training_questions(
    row: Mapping[str, Any], objects: list[dict[str, str]], centres: list[tuple[int, int]]
) -> Iterator[tuple[str, str]]:
    """Yield expressions and the shapes that they mean; none where the data set states none (night, hidden objects)."""
    if row["expression"] is None:
        return
    draw = Stream(SEED, "train", row["id"], "more expressions")
    possible = candidates(objects, centres)
    for candidate in draw.shuffled(possible)[:QUESTIONS]:
        yield say_candidate(candidate, objects, draw, "training"), objects[candidate.referent]["shape"]
