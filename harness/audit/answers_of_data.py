"""What the answers of a data set say of it: how classes are balanced, and where people disagree on an image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.answers import BOXES, CAPTIONS, LABELS, UNKNOWN, form_of
from harness.protocols import Task
from harness.sample import Sample

_JUDGED = 500


@dataclass(frozen=True)
class ClassBalance:
    """How often each class is right in a split."""

    split: str
    counts: Mapping[str, int]

    @property
    def ratio(self) -> float | None:
        """How many times as common the commonest class is as the rarest that there is."""
        there = [count for count in self.counts.values() if count]
        return max(there) / min(there) if there else None


def class_balance(task: Task, names: Sequence[str], split: str, samples: Sequence[Sample]) -> ClassBalance | None:
    """Count classes in labels and boxes; None for other kinds of answer."""
    form, counts = form_of(task.answers), Counter[int]()
    if form not in (LABELS, BOXES) or not names:
        return None
    for sample in samples:
        target: Any = sample.target
        if form == BOXES:
            counts.update(target.labels)
        elif target.labels:
            counts.update(index for index, there in enumerate(target.labels) if there not in (0, UNKNOWN))
        else:
            counts[target.label] += 1
    return ClassBalance(split, {name: counts[index] for index, name in enumerate(names)})


@dataclass(frozen=True)
class Disagreement:
    """Images that have several answers which differ, and how far one answer predicts the others.

    `agreement` is the task's quick score of one person's caption against the others' of the same image: about what a
    person reaches. None where images have one answer.
    """

    images: int
    differing: Sequence[str]
    agreement: float | None


def disagreement(task: Task, samples: Sequence[Sample], contents: Mapping[str, str]) -> Disagreement:
    """Compare the answers of images whose files are the same (`contents`: sample id -> sha256), and captions."""
    form = form_of(task.answers)
    if form == CAPTIONS:
        return Disagreement(len(samples), [], _agreement_of_captions(task, samples))
    answers: dict[tuple[str, str | None], set[Any]] = defaultdict(set)
    for sample in samples if form == LABELS else ():
        answers[contents[sample.sample_id], sample.text].add((sample.target.label, tuple(sample.target.labels)))
    differing = {content for (content, _), found in answers.items() if len(found) > 1}
    named = [sample.sample_id for sample in samples if contents.get(sample.sample_id) in differing]
    return Disagreement(len(answers), named, None)


def _agreement_of_captions(task: Task, samples: Sequence[Sample]) -> float | None:
    from dataclasses import replace

    several = [sample for sample in samples if len(sample.target.references) > 1]
    if not several:
        return None
    judged = several[:: max(1, len(several) // _JUDGED)]
    targets: list[Any] = [sample.target for sample in judged]
    others = [replace(target, references=tuple(target.references[1:])) for target in targets]
    return task.validation_score([target.references[0] for target in targets], others)
