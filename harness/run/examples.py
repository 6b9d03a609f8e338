"""A few perturbed images beside what each model answered, small enough for a report; no model is asked again.

<results>/<task>/robustness/examples/<data and split>/index.json, and a JPEG for each image and condition. The index
names its data, so that the report can show examples beside the scores of the same data.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.answers import (
    MAPS,
    describe_answer,
    describe_target,
)
from harness.condition import Condition
from harness.errors import StoreError
from harness.inputs.decoded_images import DecodedImages
from harness.inputs.perturbed_inputs import ImageSource, part_for
from harness.perturb.perturbation import IMAGE, Exchange, Perturbation
from harness.records.sample_scores import read_answers
from harness.records.store import Store
from harness.records.table_names import examples_folder
from harness.run.drawable import Drawn, drawable_answer, drawable_target
from harness.sample import Dataset, Sample, TaskSpec

if TYPE_CHECKING:
    from PIL.Image import Image

_SAMPLES = 3
_SHOWN = ("gaussian-noise", "glass-blur", "fog", "jpeg", "rotate")
_USUAL_SEVERITY = 3
_LONGEST_PX = 224


@dataclass(frozen=True)
class Gallery:
    """What examples are made of: the data, its images, the conditions that were run, what models answer with.

    `moved` gives a sample as a condition shows it: its target follows an image that is moved.
    """

    data: Dataset
    split: str
    decoded_images: DecodedImages
    conditions: Sequence[Condition]
    known: Mapping[str, Perturbation]
    seed: int
    spec: TaskSpec
    moved: Callable[[Sample, Condition], Sample]


def write_examples(store: Store, task: str, gallery: Gallery, models: Mapping[str, str]) -> None:
    """Write examples of the first samples; `models` are the fingerprints of the records by name."""
    folder = examples_folder(task, gallery.data.digest, gallery.split)
    chosen = list(_chosen(gallery))
    answers = {c.label: {m: _answers(store, task, f, c) for m, f in models.items()} for c in chosen}
    samples = []
    for position, sample in enumerate(gallery.decoded_images.samples[:_SAMPLES]):
        conditions = []
        for condition in chosen:
            file = f"{position}-{condition.label}.jpg"
            image = _picture(gallery, condition, position)
            store.write_bytes(f"{folder}/{file}", _jpeg(image))
            said = {
                m: found[sample.sample_id] for m, found in answers[condition.label].items() if sample.sample_id in found
            }
            where = {"perturbation": condition.name, "severity": condition.severity, "file": file}
            words = {model: describe_answer(answer, gallery.spec, sample.choices) for model, answer in said.items()}
            drawn = _drawn(gallery.moved(sample, condition), said, gallery.spec)
            conditions.append({**where, "size": list(image.size), "predictions": words, **drawn})
        reference = describe_target(sample, gallery.spec)
        samples.append({"sample_id": sample.sample_id, "reference": reference, "conditions": conditions})
    head = {"data": gallery.data.name, "data_digest": gallery.data.digest, "split": gallery.split}
    head |= {"answers": gallery.spec.answers}
    classes = {"classes": list(gallery.spec.classes.names)} if gallery.spec.answers == MAPS else {}
    content = {**head, **classes, "samples": samples}
    store.write_bytes(f"{folder}/index.json", json.dumps(content, indent=1).encode())


def _drawn(sample: Sample, said: Mapping[str, Any], spec: TaskSpec) -> dict[str, Any]:
    """Give what is drawn over the image: the reference, and each model's answer; nothing where answers are words."""
    reference = drawable_target(sample.target, spec)
    answers: dict[str, Drawn | None] = {model: drawable_answer(answer, spec) for model, answer in said.items()}
    return {} if reference is None else {"drawn": {"reference": reference, "answers": answers}}


def _chosen(gallery: Gallery) -> Iterator[Condition]:
    """Clean, and of each shown perturbation the severity nearest to the usual one."""
    for name in ("clean", *_SHOWN):
        found = [c for c in gallery.conditions if c.name == name]
        if found:
            yield min(found, key=lambda condition: abs(condition.severity - _USUAL_SEVERITY))


def _answers(store: Store, task: str, fingerprint: str, condition: Condition) -> dict[str, Any]:
    """What a model answered under a condition by sample; nothing where it was left out or failed."""
    try:
        sweep = store.find_robustness(task, fingerprint)
        outcomes = () if sweep is None else read_answers(store, sweep, condition.label)
    except StoreError:
        return {}
    return {outcome.sample_id: outcome.prediction for outcome in outcomes}


def _picture(gallery: Gallery, condition: Condition, position: int) -> Image:
    from PIL import Image

    part = part_for(condition, IMAGE, gallery.known)
    perturbation = gallery.known[part.name] if part else None
    assert not isinstance(perturbation, Exchange)
    source = ImageSource(gallery.decoded_images, part, perturbation, gallery.seed)
    image = Image.fromarray(source.read(source.rows()[position]))
    image.thumbnail((_LONGEST_PX, _LONGEST_PX))
    return image


def _jpeg(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
