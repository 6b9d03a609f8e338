"""The best score that any model of the same inputs can have on given samples: where inputs repeat, so must answers.

A model that sees the image alone cannot tell two expressions about it apart. To ask it for what only the text settles
would call it unable to learn, and void it as a control.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from harness.answers import LABELS, LabelAnswer
from harness.protocols import Learner, Reading, Task
from harness.sample import Sample, TaskSpec


def attainable_score(task: Task, spec: TaskSpec, learner: Learner, samples: Sequence[Sample]) -> float | None:
    """The task's validation score of answering, for samples alike in what the learner is given, with their mean target.

    None for answers other than labels: nobody knows the best of captions or boxes.
    """
    if spec.answers != LABELS:
        return None
    alike: dict[Hashable, list[list[float]]] = defaultdict(list)
    inputs = [_given(learner, sample) for sample in samples]
    targets = [_as_vector(sample.target, len(spec.classes)) for sample in samples]
    for given, target in zip(inputs, targets, strict=True):
        alike[given].append(target)
    best = {given: _mean(found) for given, found in alike.items()}
    return task.validation_score([best[given] for given in inputs], [sample.target for sample in samples])


def _given(learner: Learner, sample: Sample) -> tuple[Hashable, Hashable]:
    """What the learner is given of a sample; a learner that does not say what it reads reads nothing."""
    reads = isinstance(learner, Reading) and "text" in learner.reads
    return (sample.image if learner.vision is not None else None, sample.text if reads else None)


def _as_vector(target: LabelAnswer, classes: int) -> list[float]:
    if target.labels:
        return [float(present) for present in target.labels]
    return [float(index == target.label) for index in range(classes)]


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
