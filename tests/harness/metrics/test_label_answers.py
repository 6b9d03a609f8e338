"""Label answers of plugins, probabilities or an int alone, wherever the harness looks into them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.answers import NO_CLASS, answered_class, describe_answer, describe_target, is_label
from harness.errors import DataError
from harness.jobs.emap import additive_outcomes
from harness.perturb.attack.victim import Victim
from harness.run.cell_records import skipped_note
from harness.sample import Batch, Classes, Sample, TaskSpec
from harness.text.spelling import name_bytes, normal_form, readable_name
from tasks.targets.targets import LabelTarget
from tests.harness.jobs.test_emap import IMAGES, TEXTS, Table, visuals_of

SPEC = TaskSpec("image-classification", (), "labels", Classes(("cat", "dog", "eel", "fox", "gnu")))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(2, 2), (NO_CLASS, NO_CLASS), ([0.1, 0.7, 0.2], 1), ([0.4, 0.4, 0.2], NO_CLASS), ((1.0,), 0)],
)
def test_the_class_that_an_answer_names(answer: Any, expected: int) -> None:
    assert answered_class(answer) == expected
    assert is_label(answer) == isinstance(answer, int)


@pytest.mark.parametrize("answer", ["cat", [], None, True, {}])
def test_what_is_no_label_answer(answer: Any) -> None:
    assert not is_label(answer)
    with pytest.raises(DataError, match="A label answer is"):
        answered_class(answer)


def test_answers_in_words() -> None:
    assert describe_answer(1, SPEC) == "dog"
    assert describe_answer(NO_CLASS, SPEC) == "none of the classes"
    assert describe_answer([0.1, 0.6, 0.1, 0.1, 0.1], SPEC) == "dog (0.60)"
    assert describe_answer([0.4, 0.4, 0.2, 0.0, 0.0], SPEC) == "cat = dog (0.40)"
    assert describe_answer([0.2] * 5, SPEC) == "cat = dog = eel and 2 more (0.20)"
    target = LabelTarget(-1, (1, -1, 0, 1, 0))
    assert describe_target(Sample("s", None, target), SPEC) == "cat, fox", "what is unknown is not right"  # type: ignore[arg-type]


def test_labels_alone_have_no_additive_projection() -> None:
    class Labels(Table):
        def predict(self, batch: Batch) -> list[Any]:
            return [TEXTS.index(str(text)) for text in batch.texts]

    learner: Any = Labels.__new__(Labels)
    learner.vision = SimpleNamespace()
    assert additive_outcomes(learner, visuals_of(learner), len(IMAGES), lambda *_: None) == []


def test_an_attacked_model_may_answer_with_labels() -> None:
    answers = [1, 0, [0.5, 0.5]]
    learner: Any = SimpleNamespace(vision=None, predict=lambda batch: answers)
    targets = (LabelTarget(1), LabelTarget(1), LabelTarget(0))
    batch = Batch(("a", "b", "c"), None, (None,) * 3, targets)
    assert Victim(learner, batch, 3, None).accuracy(None) == pytest.approx(1 / 3)  # type: ignore[arg-type]


def test_images_that_cannot_be_read_are_said() -> None:
    (note,) = skipped_note({"a.png": "truncated", "b.png": "empty"}, "test", 6)
    assert str(note) == "split test: 2 of 8 images cannot be read and are left out (first: a.png: truncated)"
    assert (note.count, note.total) == (2, 8)
    assert skipped_note({}, "test", 6) == []


def test_names_of_any_bytes_can_be_printed_and_digested() -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert readable_name(name) == "caf\\xe9.png"
    assert readable_name("café.png") == "café.png"
    assert name_bytes("café") == "café".encode()
    assert name_bytes(name) and name_bytes("\ud83d")
    assert normal_form("cafe\u0301") == "caf\xe9"
