"""Open questions about Scenes: true, balanced, and against the prior of training where they say so."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tasks.questions.files import priors_of
from tasks.questions.scene_open import PARTS, OpenQuestion, open_questions, usual_parts
from tasks.questions.scene_views import read_views
from tasks.questions.scenes import PRIOR_CONFLICT, scene_question_samples
from tasks.scenes.factors import NIGHT_SKY
from tasks.scenes.generate import write_splits
from tasks.scenes.meaning import fits
from tests.tasks.questions.test_scene_groups import data_of

MANY = 150
SPLITS = ("train", "prior-conflict", "novel", "test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open")
    write_splits(folder, list(SPLITS), processes=1, limit=MANY)
    return folder


def questions(root: Path, split: str) -> list[OpenQuestion]:
    return list(open_questions(read_views(root, split), split, training=split == "train"))


def truth(question: OpenQuestion) -> str:
    """The answer by another way: from the facts, by what the question names."""
    facts, family, subject = question.view.facts, question.family, question.subject
    if family in ("ground", "sky"):
        return str(facts[family])
    if family == "ground colour":
        assert facts["ground"] == subject
        return str(facts["ground_colour"])
    named = {} if not subject else {"shape" if subject in usual_shapes() else "colour": subject}
    found = [item for item in facts["objects"] if fits(named, item)]
    if family == "number":
        return str(len(found))
    assert len(found) == 1, "an object is meant that the words pick"
    return PARTS[found[0]["part"]] if family == "part" else str(found[0][family])


def usual_shapes() -> set[str]:
    from tasks.scenes.factors import SHAPES

    return set(SHAPES)


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_true_and_can_be_seen(root: Path, split: str) -> None:
    found = questions(root, split)
    assert found
    for question in found:
        assert question.answer == truth(question)
        assert not question.options or question.answer in question.options
        assert len(set(question.options)) == len(question.options)
        if question.view.facts["sky"] == NIGHT_SKY:
            assert question.family in ("number", "part")


def test_answers_are_as_common_but_for_what_has_a_prior(root: Path) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions(root, "train"):
        if question.prior is None:
            counts[question.form][question.answer] += 1
    assert len(counts) > 10
    assert all(len(own) > 1 and len(set(own.values())) == 1 for own in counts.values())


def test_the_usual_answer_of_training_is_wrong_where_they_say_so(root: Path) -> None:
    trained = scene_question_samples(data_of(root), "train")
    priors = priors_of([sample.target for sample in trained])
    assert priors["ground colour of grass"] == "green" and usual_parts()["star"] == "a halo"
    samples = scene_question_samples(data_of(root), "questions")
    conflicts = [sample for sample in samples if PRIOR_CONFLICT in sample.target.slices]
    assert {sample.target.slices[0] for sample in conflicts} == {"ground colour", "part"}
    for sample in conflicts:
        assert sample.target.accepted[0] != sample.target.prior == priors.get(sample.target.form, sample.target.prior)
    others = [sample for sample in samples if PRIOR_CONFLICT not in sample.target.slices]
    assert all(sample.target.prior is None for sample in others), "nothing else has a usual answer"
