"""Answers that need no image: the commonest training answer to questions that begin alike."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from harness.answers import chosen_option
from harness.protocols import ParameterGroups
from harness.sample import Batch, TaskSpec

_WORD = re.compile(r"\w+(?:'\w+)?")
_BEGINNINGS = (0, 1, 2, 3)
"""Questions count as alike by so many first words, and by all of them."""
_FIRST_WINS = 1e-9
"""How much less likely, as a logarithm, an answer counts for each one that training gave before it: ties end so."""
AnswerCounts = Mapping[str, Mapping[str, int]]


class AnswerPrior(nn.Module):
    """Probabilities of answers by ever more words of the question, each smoothed by those of fewer words.

    Of a beginning with n questions, c of them with an answer: (c + p) / (n + 1), p being the answer's probability by
    fewer words (MacKay & Peto 1995, A hierarchical Dirichlet language model, with one pseudo-count a level).
    """

    vision = None
    vision_frozen = True

    def __init__(self, counts: AnswerCounts) -> None:
        super().__init__()
        self.counts = counts
        self.answers = tuple(counts.get("", {}))

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Nothing is trained by gradient."""
        raise NotImplementedError("a prior is counted, not trained")

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained by gradient."""
        return ParameterGroups((), (), ())

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Any]:
        """Give the log-probability of each option, else the likeliest answer; of equals, the first in training."""
        choices = batch.choices or ((),) * len(batch)
        return [self._answer(text or "", options) for text, options in zip(batch.texts, choices, strict=True)]

    @property
    def reads(self) -> tuple[str, ...]:
        """The question."""
        return ("text",)

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """There are no classes."""

    def _answer(self, question: str, options: Sequence[str]) -> str | list[float]:
        offered = tuple(option.casefold() for option in options) or self.answers
        if not offered:
            return ""
        scores = [self._score(question, answer, place) for place, answer in enumerate(offered)]
        place = chosen_option(scores)
        return scores if options else ("" if place is None else offered[place])

    def _score(self, question: str, answer: str, place: int) -> float:
        """The log-probability, less what ends ties: taken off last, since counts of many questions would drown it."""
        rank = self.answers.index(answer) if answer in self.answers else len(self.answers) + place
        return math.log(self._probability(question, answer)) - _FIRST_WINS * rank

    def _probability(self, question: str, answer: str) -> float:
        probability = 1 / (len(self.answers) + 1)
        for form in forms_of(question):
            counts = self.counts.get(form, {})
            probability = (counts.get(answer, 0) + probability) / (sum(counts.values()) + 1)
        return probability


def forms_of(question: str) -> Iterator[str]:
    """Give the beginnings of a question, ever longer, the last being all of it.

    >>> list(forms_of("What colour is the cat?"))
    ['', 'what', 'what colour', 'what colour is', 'what colour is the cat']
    """
    words = _WORD.findall(question.casefold())
    yield from dict.fromkeys(" ".join(words[:count]) for count in (*_BEGINNINGS, len(words)))


def count_answers(spec: TaskSpec) -> dict[str, dict[str, int]]:
    """Count the accepted answers of training questions by their beginnings, each once a question; JSON-able."""
    counts: dict[str, Counter[str]] = {"": Counter()}
    for text, target in zip(spec.training_texts, spec.training_targets, strict=True):
        accepted = Counter(answer.casefold() for answer in target.accepted)
        most = max(accepted.values(), default=0)
        for form in forms_of(text):
            counts.setdefault(form, Counter()).update(a for a, count in accepted.items() if count == most)
    return {form: dict(found) for form, found in counts.items()}
