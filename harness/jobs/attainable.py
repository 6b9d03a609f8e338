"""The best score that any model of the same inputs can have on given samples: where inputs repeat, so must answers.

A model that sees the image alone cannot tell two expressions about it apart. To ask it for what only the text settles
would call it unable to learn, and void it as a control.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from harness.answers import LABELS, SHORT_ANSWERS, UNKNOWN, LabelAnswer, ShortAnswer
from harness.protocols import Learner, ReadsText, Task
from harness.sample import Sample, TaskSpec


def attainable_score(task: Task, spec: TaskSpec, learner: Learner, samples: Sequence[Sample]) -> float | None:
    """The task's validation score of answering samples that are alike to the learner with what most of them are.

    None for answers other than labels and short answers: nobody knows the best of captions or boxes.
    """
    if spec.answers == SHORT_ANSWERS:
        return _attainable_answers(task, learner, samples)
    if spec.answers != LABELS:
        return None
    alike: dict[Hashable, list[LabelAnswer]] = defaultdict(list)
    inputs = [_given(learner, sample) for sample in samples]
    for given, sample in zip(inputs, samples, strict=True):
        alike[given].append(sample.target)
    best = {given: _best(found) for given, found in alike.items()}
    return task.validation_score([best[given] for given in inputs], [sample.target for sample in samples])


def _attainable_answers(task: Task, learner: Learner, samples: Sequence[Sample]) -> float:
    """Rank answers by how many samples of the same inputs accept them; where there are options, among these."""
    accepted: dict[Hashable, Counter[str]] = defaultdict(Counter)
    inputs = [_given(learner, sample) for sample in samples]
    for given, sample in zip(inputs, samples, strict=True):
        target: ShortAnswer = sample.target
        accepted[given].update(target.accepted)
    said = [_best_said(accepted[given], sample.choices) for given, sample in zip(inputs, samples, strict=True)]
    return task.validation_score(said, [sample.target for sample in samples])


def _best_said(counts: Counter[str], options: Sequence[str]) -> str:
    return max(options or counts, key=lambda answer: counts[answer])


def _given(learner: Learner, sample: Sample) -> tuple[Hashable, Hashable]:
    """What the learner is given of a sample; a learner that does not say what it reads reads nothing."""
    reads = isinstance(learner, ReadsText) and "text" in learner.reads
    return (sample.image if learner.vision is not None else None, sample.text if reads else None)


def _best(alike: Sequence[LabelAnswer]) -> int | list[float]:
    """The class that most of them have (any of several: each is right as often); the share that has each label."""
    if not alike[0].labels:
        return Counter(target.label for target in alike).most_common(1)[0][0]
    return [_share(labels) for labels in zip(*(target.labels for target in alike), strict=True)]


def _share(labels: Sequence[int]) -> float:
    known = [label for label in labels if label != UNKNOWN]
    return sum(known) / len(known) if known else 0.0
