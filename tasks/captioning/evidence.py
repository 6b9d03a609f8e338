"""What captions are about: the objects of a Scenes image, elsewhere those of the categories that references mention."""

from __future__ import annotations

from collections.abc import Sequence

from harness.sample import AnswerEvidence, Dataset, Sample
from tasks.captioning.annotated_objects import annotated_objects
from tasks.captioning.object_words import ObjectWords, coco_words, only
from tasks.formats.instance_index import open_instances
from tasks.scenes_data.evidence import mask_of_rows, objects_of_images
from tasks.targets.object_masks import mask_of_objects


def caption_evidence(data: Dataset, split: str, samples: Sequence[Sample]) -> list[AnswerEvidence | None]:
    """Say where in each image that is; None where no file of instances is known, or it has none that is mentioned."""
    if data.layout == "scenes":
        return _of_scenes(data, split, samples)
    found = None if data.cache is None else annotated_objects(data, data.cache)
    if found is None:
        return [None] * len(samples)
    instances = open_instances(found.path, None, found.contents)
    names = [category.name for category in instances.categories]
    words = only(coco_words(), names)
    places = {image.sample_id: place for place, image in enumerate(instances.images)}
    evidence: list[AnswerEvidence | None] = []
    for sample in samples:
        place = places.get(sample.sample_id)
        mask = None
        if place is not None:
            image, said = instances.images[place], _mentioned(words, sample.target.references)
            chosen = [index for index, name in enumerate(names) if name in said]
            mask = mask_of_objects(instances.objects[place], image.width, image.height, chosen)
        evidence.append(None if mask is None else AnswerEvidence(mask, cluster=sample.sample_id))
    return evidence


def _mentioned(words: ObjectWords, references: Sequence[str]) -> set[str]:
    return {name for text in references for name in words.mentions(text)}


def _of_scenes(data: Dataset, split: str, samples: Sequence[Sample]) -> list[AnswerEvidence | None]:
    rows = objects_of_images(data.root, (split,), {sample.sample_id for sample in samples})
    return [
        AnswerEvidence(mask_of_rows(own), cluster=sample.sample_id) if (own := rows.get(sample.sample_id)) else None
        for sample in samples
    ]
