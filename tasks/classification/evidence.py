"""Where in an image of COCO or VOC its label lies: the objects of its class, or of all classes that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.sample import AnswerEvidence, Dataset, Sample
from harness.storage.content import Contents
from tasks.classification.readers import COCO, VOC
from tasks.datasets.split_roles import stored_split
from tasks.targets.object_masks import mask_of_objects


def folder_label_evidence(data: Dataset, split: str, samples: Sequence[Sample]) -> list[AnswerEvidence | None]:
    """Say where labels lie that were read off objects; None for all others, whose folders know no places."""
    if data.options["format"] not in (COCO, VOC) or data.cache is None:
        return [None] * len(samples)
    from tasks.detection.data import read_objects

    named = data.options["class_file"]
    read = read_objects(data.root, data.options["format"], Path(named) if named else None, Contents(data.cache))
    part = read.splits[stored_split(data, split)]
    places = {image.sample_id: place for place, image in enumerate(part.images)}
    found: list[AnswerEvidence | None] = []
    for sample in samples:
        place = places[sample.sample_id]
        image, label = part.images[place], sample.target.label
        mask = mask_of_objects(
            part.objects[place], image.width, image.height, None if sample.target.labels else (label,)
        )
        found.append(None if mask is None else AnswerEvidence(mask, cluster=sample.sample_id))
    return found
