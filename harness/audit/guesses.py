"""How far guesses without the image get: from the training split alone, and from the text beside an image alone."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.answers import CAPTIONS, CHOICES, LABELS, SHORT_ANSWERS, ShortAnswer, form_of
from harness.protocols import Task
from harness.sample import Sample

_WORD = re.compile(r"\w+")
_BEGINNING = 4
"""First words by which questions are alike."""
_CANDIDATES, _JUDGED = 40, 150
"""So many training captions are tried, on so many training images."""


@dataclass(frozen=True)
class BlindGuess:
    """What is guessed from (`prior` or `text`), the score that is reached, by which metric, and how it was guessed."""

    source: str
    score: float
    metric: str
    how: str


def blind_guesses(task: Task, training: Sequence[Sample], evaluated: Sequence[Sample]) -> list[BlindGuess]:
    """Score guesses that never see an image; none where the kind of answer knows none."""
    form = form_of(task.answers)
    if not evaluated:
        return []
    if form == CAPTIONS and training:
        return [_one_caption(task, training, evaluated)]
    if form == CHOICES:
        return _choices(training, evaluated)
    if form == SHORT_ANSWERS:
        return _short_answers(task, training, evaluated)
    if form == LABELS and not any(sample.target.labels for sample in evaluated):
        return _labels(training, evaluated)
    return []


def _one_caption(task: Task, training: Sequence[Sample], evaluated: Sequence[Sample]) -> BlindGuess:
    """Give every image the training caption that fits other training images best."""
    judged = training[:: max(1, len(training) // _JUDGED)]
    tried = dict.fromkeys(s.target.references[0] for s in training[:: max(1, len(training) // _CANDIDATES)])

    def score(caption: str, samples: Sequence[Sample]) -> float:
        return task.validation_score([caption] * len(samples), [sample.target for sample in samples])

    best = max(tried, key=lambda caption: score(caption, judged))
    how = f"every image is called '{best}', the training caption that fits other training images best"
    return BlindGuess("prior", score(best, evaluated), f"{task.metrics[0]} (quick)", how)


def _labels(training: Sequence[Sample], evaluated: Sequence[Sample]) -> list[BlindGuess]:
    counts = Counter(sample.target.label for sample in training or evaluated)
    label, _ = counts.most_common(1)[0]
    right = sum(sample.target.label == label for sample in evaluated)
    origin = "training" if training else "this"
    found = [
        BlindGuess("prior", right / len(evaluated), "accuracy", f"always the commonest class of the {origin} split")
    ]
    if training and all(sample.text for sample in (*training, *evaluated)):
        answer = _naive_bayes(training)
        right = sum(answer(sample) == sample.target.label for sample in evaluated)
        found.append(BlindGuess("text", right / len(evaluated), "accuracy", "naive Bayes over the words beside images"))
    return found


def _short_answers(task: Task, training: Sequence[Sample], evaluated: Sequence[Sample]) -> list[BlindGuess]:
    """The commonest answer of all, and of questions that begin alike; where there are options, among these."""
    overall, alike = Counter[str](), defaultdict[str, Counter[str]](Counter)
    for sample in training or evaluated:
        target: ShortAnswer = sample.target
        overall.update(target.accepted)
        alike[_beginning(sample)].update(target.accepted)

    def score(counts: Callable[[Sample], Counter[str]]) -> float:
        said = [max(s.choices or counts(s) or overall, key=lambda answer: counts(s)[answer]) for s in evaluated]
        return task.validation_score(said, [sample.target for sample in evaluated])

    origin = "training" if training else "this"
    how = f"always the commonest answer of the {origin} split, among the options where there are some"
    found = [BlindGuess("prior", score(lambda sample: overall), task.metrics[0], how)]
    if training:
        how = f"the commonest training answer to questions that begin with the same {_BEGINNING} words"
        found.append(BlindGuess("text", score(lambda s: alike[_beginning(s)] or overall), task.metrics[0], how))
    return found


def _beginning(sample: Sample) -> str:
    return " ".join(_words(sample.text or "")[:_BEGINNING])


def _choices(training: Sequence[Sample], evaluated: Sequence[Sample]) -> list[BlindGuess]:
    """The longest, the shortest, and by words that are commoner in right than in wrong choices of training."""
    ways: dict[str, Callable[[Sample], Sequence[float]]] = {
        "the longest choice": lambda sample: [len(text) for text in sample.choices],
        "the shortest choice": lambda sample: [-len(text) for text in sample.choices],
    }
    if training:
        weights = _word_weights(training)
        ways["words of right choices"] = lambda sample: [
            sum(weights.get(word, 0.0) for word in _words(text)) for text in sample.choices
        ]
    return [
        BlindGuess("text", sum(_credit(way(s), s.target.choice) for s in evaluated) / len(evaluated), "accuracy", how)
        for how, way in ways.items()
    ]


def _credit(scores: Sequence[float], right: int) -> float:
    """1 for the right choice alone on top, its share where several share the top."""
    top = max(scores)
    return (scores[right] == top) / sum(score == top for score in scores)


def _word_weights(training: Sequence[Sample]) -> dict[str, float]:
    right, wrong = Counter[str](), Counter[str]()
    for sample in training:
        for index, text in enumerate(sample.choices):
            (right if index == sample.target.choice else wrong).update(set(_words(text)))
    ratio = max(1, sum(wrong.values())) / max(1, sum(right.values()))
    return {word: math.log((right[word] + 1) / (wrong[word] + 1) * ratio) for word in right | wrong}


def _naive_bayes(training: Sequence[Sample]) -> Callable[[Sample], Any]:
    """Multinomial naive Bayes with add-one smoothing (Manning, Raghavan and Schütze 2008, section 13.2)."""
    words: dict[Any, Counter[str]] = defaultdict(Counter)
    labels = Counter(sample.target.label for sample in training)
    for sample in training:
        words[sample.target.label].update(_words(str(sample.text)))
    vocabulary = len({word for counts in words.values() for word in counts})
    totals = {label: sum(counts.values()) + vocabulary for label, counts in words.items()}

    def answer(sample: Sample) -> Any:
        told = _words(str(sample.text))
        return max(
            labels,
            key=lambda label: (
                math.log(labels[label]) + sum(math.log((words[label][word] + 1) / totals[label]) for word in told)
            ),
        )

    return answer


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
