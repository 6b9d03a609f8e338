"""What can be attained with some inputs, against every answer tried and cases worked by hand."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.answers import UNKNOWN
from harness.jobs.attainable import attainable_score
from harness.sample import Classes, Sample, TaskSpec
from tasks.classification.task import ClassificationTask
from tasks.questions.target import QuestionTarget
from tasks.questions.task import visual_question_answering
from tasks.targets.targets import LabelTarget

SPEC = TaskSpec("image-classification", (), "labels", Classes(("a", "b", "c")))


def learner(*, sees: bool, reads: bool) -> Any:
    found = SimpleNamespace(vision=object() if sees else None)
    if reads:
        found.reads, found.reword = ("text",), lambda texts: None
    return found


def samples(*rows: tuple[str, str, int]) -> list[Sample]:
    return [Sample(str(n), Path(i), LabelTarget(label), text) for n, (i, text, label) in enumerate(rows)]


ASKED = samples(
    ("one", "left", 0), ("one", "right", 1), ("one", "the left", 0), ("two", "left", 2), ("two", "right", 2)
)  # fmt: skip


@pytest.mark.parametrize(
    ("sees", "reads", "expected"),
    [
        (True, True, 1.0),
        (True, False, 4 / 5),  # of image one 2 of 3 are class 0
        (False, True, 3 / 5),  # "left" and "right" are each right once of twice
        (False, False, 2 / 5),
    ],
)
def test_by_hand(sees: bool, reads: bool, expected: float) -> None:
    assert attainable_score(ClassificationTask(), SPEC, learner(sees=sees, reads=reads), ASKED) == expected


def test_no_function_of_the_image_does_better() -> None:
    best = max(
        sum(answers[("one", "two").index(str(sample.image))] == sample.target.label for sample in ASKED)
        for answers in itertools.product(range(3), repeat=2)
    )
    found = attainable_score(ClassificationTask(), SPEC, learner(sees=True, reads=False), ASKED)
    assert found == best / len(ASKED)


def test_several_labels_an_image_are_ranked_by_their_share() -> None:
    rows = [("x", (1, 0, 0)), ("x", (1, 1, 0)), ("y", (0, 0, 1))]
    many = [Sample(str(n), Path(image), LabelTarget(0, labels)) for n, (image, labels) in enumerate(rows)]
    found = attainable_score(ClassificationTask(), SPEC, learner(sees=True, reads=False), many)
    # class a: both x before y, 1; b: one of the two x, which tie; c: y alone, 1
    assert found == pytest.approx((1 + 0.5 + 1) / 3)


def test_what_is_right_as_often_is_as_good_whatever_the_order_of_classes() -> None:
    """Of two answers that are each right once one is attainable, though a tie of probabilities would be none."""
    for labels in ((0, 1), (1, 0), (2, 1)):
        rows = samples(*(("one", "same", label) for label in labels))
        assert attainable_score(ClassificationTask(), SPEC, learner(sees=True, reads=True), rows) == 1 / 2


def test_labels_that_nobody_knows_are_no_part_of_a_share() -> None:
    rows = [("x", (1, UNKNOWN)), ("x", (1, 1)), ("y", (0, 0))]
    many = [Sample(str(n), Path(image), LabelTarget(-1, labels)) for n, (image, labels) in enumerate(rows)]
    spec = TaskSpec("image-classification", (), "labels", Classes(("a", "b"), multilabel=True))
    assert attainable_score(ClassificationTask(), spec, learner(sees=True, reads=False), many) == 1


def test_the_best_caption_is_not_known() -> None:
    spec = TaskSpec("coco-caption", (), "captions", SPEC.classes)
    assert attainable_score(ClassificationTask(), spec, learner(sees=True, reads=False), ASKED) is None


def questions(*rows: tuple[str, str, str, tuple[str, ...]]) -> list[Sample]:
    return [
        Sample(str(n), Path(image), QuestionTarget((answer,), "choice", text, image, image, options), text, options)
        for n, (image, text, answer, options) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("sees", "reads", "expected"),
    [(True, True, 1.0), (True, False, 3 / 4), (False, True, 3 / 4), (False, False, 3 / 4)],
)
def test_short_answers_by_hand(sees: bool, reads: bool, expected: float) -> None:
    """Whatever is known, "no" is right of two of three such questions, and no colour is an option of theirs."""
    asked = questions(
        ("one", "Is it red?", "yes", ("yes", "no")), ("one", "Is it big?", "no", ("yes", "no")),
        ("two", "Is it red?", "no", ("yes", "no")), ("two", "Which colour?", "blue", ("red", "blue")),
    )  # fmt: skip
    spec = TaskSpec("visual-question-answering", (), "answers")
    found = attainable_score(visual_question_answering, spec, learner(sees=sees, reads=reads), asked)
    assert found == expected
