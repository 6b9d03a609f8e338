"""Which answer was given to a question, and whether it is right: three outcomes, right, wrong and no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.answers import chosen_option
from harness.errors import DataError
from harness.metrics.questions.judged import JudgedQuestion
from harness.metrics.questions.vqa_accuracy import vqa_accuracy
from harness.sample import Prediction
from harness.text.said_number import parse_number
from harness.text.said_option import parse_option
from tasks.questions.target import NO, NUMBER, YES, YES_NO, QuestionTarget

_PEOPLE = 4
"""Of so many answers at least VQA accuracy can be 1 whichever person's answer is left out."""


def judge_question(
    prediction: Prediction, target: QuestionTarget, name: str = "?", prior: str | None = None
) -> JudgedQuestion:
    """Judge a prediction: words, or a score for each option; raises DataError, naming the sample, for anything else.

    An answer is right where people gave none more often. `prior` is the commonest training answer of the question's
    form where its target does not say it.
    """
    answer = understood_answer(prediction, target, name)
    usual = target.prior if target.prior is not None else prior
    of_yes = target.kind == YES_NO
    return JudgedQuestion(
        right=answer is not None and answer in right_answers(target),
        answered=answer is not None,
        yes=YES in right_answers(target) if of_yes else None,
        said_yes=None if answer is None or not of_yes else answer == YES,
        yes_score=_yes_score(prediction, target) if of_yes else None,
        agreement=_agreement(prediction, answer, target),
        group=target.group,
        image=target.image_id,
        question=target.question,
        is_prior=None if usual is None else answer == plain_answer(usual, target),
    )


def right_answers(target: QuestionTarget) -> frozenset[str]:
    """The accepted answers that were given most often, as answers are compared."""
    counts = Counter(plain_answer(answer, target) for answer in target.accepted)
    most = max(counts.values(), default=0)
    return frozenset(answer for answer, count in counts.items() if count == most)


def plain_answer(answer: str, target: QuestionTarget) -> str:
    """Write an answer as it is compared: the option itself, a number in digits, else in lower case."""
    number = parse_number(answer) if target.kind == NUMBER else None
    return str(number) if number is not None else " ".join(answer.casefold().split()).rstrip(".")


def understood_answer(prediction: Prediction, target: QuestionTarget, name: str = "?") -> str | None:
    """Read the answer that a prediction gives; None where it gives none for sure. Raises DataError."""
    if isinstance(prediction, str):
        return _said(prediction, target)
    place = chosen_option(_scores(prediction, target, name))
    return None if place is None else plain_answer(target.options[place], target)


def _scores(prediction: Prediction, target: QuestionTarget, name: str) -> Sequence[float]:
    if isinstance(prediction, list | tuple) and target.options and len(prediction) == len(target.options):
        return prediction
    wanted = f"or {len(target.options)} scores, one for each option" if target.options else "in words"
    raise DataError(f"Sample {name} has the answer {str(prediction)[:80]}; wanted what was said, {wanted}.")


def _said(said: str, target: QuestionTarget) -> str | None:
    if target.options:
        place = parse_option(said, target.options)
        return None if place is None else plain_answer(target.options[place], target)
    if target.kind == NUMBER:
        number = parse_number(said)
        return None if number is None else str(number)
    return plain_answer(said, target) or None


def _yes_score(prediction: Prediction, target: QuestionTarget) -> float | None:
    if isinstance(prediction, str):
        return None
    by_option = dict(zip((option.casefold() for option in target.options), prediction, strict=True))
    return float(by_option[YES] - by_option[NO]) if {YES, NO} <= set(by_option) else None


def _agreement(prediction: Prediction, answer: str | None, target: QuestionTarget) -> float | None:
    if len(target.accepted) < _PEOPLE:
        return None
    return vqa_accuracy(prediction if isinstance(prediction, str) else answer or "", target.accepted)
