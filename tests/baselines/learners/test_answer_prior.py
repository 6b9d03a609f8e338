"""The prior over answers: counts by the beginnings of questions, smoothed, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from baselines.learners.answer_prior import AnswerPrior, count_answers, forms_of
from harness.answers import chosen_option
from harness.sample import Batch, TaskSpec

ASKED = [("Is it red?", ("yes",)), ("Is it red?", ("yes", "yes", "no")), ("Is it big?", ("no",)), ("What?", ("cat",))]


def prior() -> AnswerPrior:
    targets = [SimpleNamespace(accepted=accepted) for _, accepted in ASKED]
    spec = TaskSpec("visual-question-answering", targets, "answers", training_texts=[text for text, _ in ASKED])
    return AnswerPrior(count_answers(spec))


def asked(text: str, *options: str) -> Any:
    return prior().predict(Batch(("s",), None, (text,), choices=(options,)))[0]


def test_beginnings() -> None:
    assert list(forms_of("Is it, perhaps, red or not?"))[-2:] == ["is it perhaps", "is it perhaps red or not"]
    assert list(forms_of("")) == [""]


def test_probabilities_by_hand() -> None:
    """Known answers yes, no, cat: of all 4 questions 2, 1, 1; of those that begin with "is" 3, "is it" the same."""
    yes = 1 / 4  # one of three known answers, or another
    for count, total in ((2, 4), (2, 3), (2, 3), (2, 2)):
        yes = (count + yes) / (total + 1)
    scores = asked("Is it red?", "yes", "no", "purple")
    assert scores[0] == pytest.approx(math.log(yes), abs=1e-6)
    assert scores[0] > scores[1] > scores[2]


def test_it_answers_what_was_commonest_and_falls_back_on_fewer_words() -> None:
    assert asked("Is it red?") == "yes" and asked("Is it big?") == "no"
    assert asked("What is this?") == "cat" and asked("Who?") == "yes"
    assert asked("What?", "dog", "cat")[1] > asked("What?", "dog", "cat")[0]
    assert AnswerPrior({"": {}}).predict(Batch(("s",), None, ("Who?",))) == [""]


def test_ties_end_however_many_questions_were_counted() -> None:
    """Balanced training answers are the rule for yes/no: a prior that then says nothing is no baseline."""
    texts = ["Is there a cat on the mat?"] * 2000
    targets = [SimpleNamespace(accepted=("no" if number % 2 else "yes",)) for number in range(len(texts))]
    learner = AnswerPrior(
        count_answers(TaskSpec("visual-question-answering", targets, "answers", training_texts=texts))
    )
    options = (("yes", "no"), ("no", "yes"), ("dog", "fox"), ())
    answers = learner.predict(Batch(("s",) * 4, None, (texts[0],) * 4, choices=options))
    assert [chosen_option(scores) for scores in answers[:3]] == [0, 1, 0] and answers[3] == "yes"
