"""What decides the answer to a question about Scenes: the objects that its words are true of, and those words.

Of a question that names a shape (and what belongs to it) these are the objects of that shape, of one that names a
colour alone those of that colour; of the number of all objects they are all. Questions about the ground and the sky,
and about what is not there, have no objects that decide.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from harness.sample import AnswerEvidence, Dataset, Sample
from tasks.questions.scenes import question_parts
from tasks.scenes.factors import KINDS
from tasks.scenes.lexicons import LEXICONS
from tasks.scenes_data.evidence import mask_of_rows, objects_of_images

_OF_OBJECTS = ("shape", "colour", "pattern", "part", "size")
_KINDS = {kind.category_id: kind for kind in KINDS}


def scene_question_evidence(data: Dataset, split: str, samples: Sequence[Sample]) -> list[AnswerEvidence | None]:
    """Say of questions what decides them; None where no object does."""
    wanted = {sample.target.image_id for sample in samples}
    objects = objects_of_images(data.root, question_parts(split), wanted)
    return [_evidence(sample, objects.get(sample.target.image_id, [])) for sample in samples]


def _evidence(sample: Sample, objects: Sequence[Mapping[str, Any]]) -> AnswerEvidence | None:
    said = _said([word.strip(string.punctuation).lower() for word in (sample.text or "").split()])
    chosen = [row for row in objects if _is_meant(row, said)]
    if "number" in sample.target.slices and not said:
        chosen = list(objects)
    if not chosen:
        return None
    words = tuple(word for values in said.values() for own in values.values() for word in own)
    return AnswerEvidence(mask_of_rows(chosen), words, cluster=sample.target.cluster)


def _is_meant(row: Mapping[str, Any], said: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    if "shape" in said:
        return _KINDS[row["category_id"]].shape in said["shape"]
    return "colour" in said and row["attributes"]["colour"] in said["colour"]


def _said(words: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """The words of a question that name factors of objects: factor -> value -> words, in the singular or plural."""
    found: dict[str, dict[str, list[str]]] = {}
    for lexicon in LEXICONS.values():
        for factor in _OF_OBJECTS:
            for value, names in lexicon.words[factor].items():
                forms = {form for name in names for form in (name, f"{name}s", f"{name}es")}
                if own := [word for word in words if word in forms]:
                    found.setdefault(factor, {})[value] = own
    return found
