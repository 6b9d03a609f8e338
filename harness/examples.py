"""A few perturbed images beside what each model answered, small enough for a report; no model is asked again.

<results>/<task>/robustness/examples/index.json, and a JPEG for each image and condition.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.answers import BOXES, CAPTIONS, LABELS, decode_label_map
from harness.canvas import Canvases
from harness.condition import Condition
from harness.errors import StoreError
from harness.perturb.perturbation import IMAGE, Exchange, Perturbation
from harness.perturbed_inputs import ImageSource, part_for
from harness.sample import Sample, TaskSpec
from harness.store import Store, outcomes_name

EXAMPLES = "robustness/examples"
_SAMPLES = 3
_SHOWN = ("gaussian-noise", "glass-blur", "fog", "jpeg", "rotate")
_USUAL_SEVERITY = 3
_LONGEST_PX = 192
_SHARES = 3
_LEAST_SCORE = 0.3


@dataclass(frozen=True)
class Gallery:
    """What examples are made of: the images, the conditions that were run, what models answer with."""

    canvases: Canvases
    conditions: Sequence[Condition]
    known: Mapping[str, Perturbation]
    seed: int
    spec: TaskSpec


def write_examples(store: Store, task: str, gallery: Gallery, models: Mapping[str, str]) -> None:
    """Write examples of the first samples; `models` are the fingerprints of the records by name."""
    folder = f"{task}/{EXAMPLES}"
    chosen = list(_chosen(gallery))
    answers = {c.label: {m: _answers(store, task, f, c) for m, f in models.items()} for c in chosen}
    samples = []
    for position, sample in enumerate(gallery.canvases.samples[:_SAMPLES]):
        conditions = []
        for condition in chosen:
            file = f"{position}-{condition.label}.jpg"
            store.write_bytes(f"{folder}/{file}", _jpeg(gallery, condition, position))
            said = {
                model: describe_answer(found[sample.sample_id], gallery.spec)
                for model, found in answers[condition.label].items()
                if sample.sample_id in found
            }
            where = {"perturbation": condition.name, "severity": condition.severity, "file": file}
            conditions.append({**where, "predictions": said})
        reference = describe_target(sample, gallery.spec)
        samples.append({"sample_id": sample.sample_id, "reference": reference, "conditions": conditions})
    store.write_bytes(f"{folder}/index.json", json.dumps({"samples": samples}, indent=1).encode())


def describe_answer(answer: Any, spec: TaskSpec) -> str:
    """Put an answer into a few words."""
    names = spec.classes.names
    if spec.answers == CAPTIONS:
        return str(answer)
    if spec.answers == LABELS:
        best = max(range(len(answer)), key=lambda index: answer[index])
        return f"{names[best]} ({answer[best]:.2f})"
    if spec.answers == BOXES:
        sure = [box for box in answer if box[1] >= _LEAST_SCORE][:_SHARES]
        return ", ".join(f"{names[int(box[0])]} ({box[1]:.2f})" for box in sure) or f"no box over {_LEAST_SCORE}"
    counts = Counter(decode_label_map(answer).ravel().tolist())
    total = sum(counts.values())
    return ", ".join(f"{names[index]} {count / total:.0%}" for index, count in counts.most_common(_SHARES))


def describe_target(sample: Sample, spec: TaskSpec) -> str:
    """Put what is right into a few words, as far as targets are of the usual forms; empty where they are not."""
    target, names = sample.target, spec.classes.names
    if spec.answers == CAPTIONS:
        return str(next(iter(getattr(target, "references", ())), ""))
    if spec.answers == LABELS:
        several = [names[index] for index, there in enumerate(getattr(target, "labels", ())) if there]
        return ", ".join(several) or names[target.label]
    if spec.answers == BOXES:
        return ", ".join(names[index] for index in getattr(target, "labels", ()))
    return ""


def _chosen(gallery: Gallery) -> Iterator[Condition]:
    """Clean, and of each shown perturbation the severity nearest to the usual one."""
    for name in ("clean", *_SHOWN):
        found = [c for c in gallery.conditions if c.name == name]
        if found:
            yield min(found, key=lambda condition: abs(condition.severity - _USUAL_SEVERITY))


def _answers(store: Store, task: str, fingerprint: str, condition: Condition) -> dict[str, Any]:
    """What a model answered under a condition by sample; nothing where it was left out or failed."""
    try:
        outcomes = store.read_outcomes(outcomes_name(task, fingerprint, condition.label))
    except StoreError:
        return {}
    return {outcome.sample_id: outcome.prediction for outcome in outcomes}


def _jpeg(gallery: Gallery, condition: Condition, position: int) -> bytes:
    from PIL import Image

    part = part_for(condition, IMAGE, gallery.known)
    perturbation = gallery.known[part.name] if part else None
    assert not isinstance(perturbation, Exchange)
    source = ImageSource(gallery.canvases, part, perturbation, gallery.seed)
    image = Image.fromarray(source.read(source.rows()[position]))
    image.thumbnail((_LONGEST_PX, _LONGEST_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
