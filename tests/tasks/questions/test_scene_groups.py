"""Groups of two images and two questions about Scenes: true where they say so, and nothing to a blind model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.affine import Affine
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Sample
from tasks.questions.scene_groups import FAMILIES, QuestionGroup, scene_groups
from tasks.questions.scene_views import SceneView, read_views
from tasks.questions.scenes import SCENE_ANSWERS, scene_question_samples
from tasks.questions.target import YES_NO
from tasks.questions.task import visual_question_answering as task
from tasks.scenes.factors import NIGHT_SKY
from tasks.scenes.generate import write_splits
from tasks.scenes.meaning import is_true

MANY = 90
FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    write_splits(folder, ["train", "lexical"], processes=1, limit=MANY)
    return folder


@pytest.fixture(scope="module")
def groups(root: Path) -> list[QuestionGroup]:
    return list(scene_groups(read_views(root, "train"), "train"))


def data_of(root: Path) -> Dataset:
    return Dataset("scenes", root, "", "scenes", ("train", "lexical"), "train", "train", "train", {"questions": 1})


def test_each_question_is_true_of_one_image_and_false_of_the_other(groups: list[QuestionGroup]) -> None:
    assert len(groups) > MANY / 3 and {group.family for group in groups} == set(FAMILIES)
    for group in groups:
        for place, view in enumerate(group.images):
            assert [is_true(form, view.facts) for form in group.forms] == [place == 0, place == 1]
        assert group.texts[0] != group.texts[1]


def test_a_mirrored_question_has_the_answer_in_the_mirrored_image_that_it_had(groups: list[QuestionGroup]) -> None:
    """Questions about sides are turned with the image, twice is once not; of the others not a word changes."""
    sided = 0
    for group in groups:
        for form, text in zip(group.forms, group.texts, strict=True):
            moved, turns = task.moved_text(text, FLIP), form.get("relation") == "left-of"
            assert (moved != text) == turns and task.moved_text(moved, FLIP) == text
            assert sorted(moved.replace("left", "right").split()) == sorted(text.replace("left", "right").split())
            turned = {**form, "objects": form["objects"][::-1]} if turns else form
            for view in group.images:
                facts = {**view.facts, "relations": [mirrored(*row) for row in view.facts["relations"]]}
                assert is_true(turned, facts) == is_true(form, view.facts)
                assert is_true(form, facts) == (is_true(form, view.facts) != turns), "the image turned alone"
            sided += turns
    assert sided >= 2


def mirrored(name: str, one: int, other: int) -> tuple[str, int, int]:
    """A relation of a scene's facts, in the mirrored image."""
    return (name, other, one) if name == "left-of" else (name, one, other)


def test_an_image_is_in_one_group_and_has_no_hidden_object(groups: list[QuestionGroup], root: Path) -> None:
    used = Counter(view.image_id for group in groups for view in group.images)
    assert max(used.values()) == 1
    every = {view.image_id for view in read_views(root, "train")}
    assert set(used) <= every and len(every) < MANY, "some of so many images hide an object"


def test_nothing_is_asked_that_the_night_hides(groups: list[QuestionGroup]) -> None:
    dark = [group for group in groups if any(view.facts["sky"] == NIGHT_SKY for view in group.images)]
    assert dark
    for group in dark:
        said = {factor for form in group.forms for item in form["objects"] for factor in item}
        assert not said & {"colour", "pattern"}, group.texts


def test_a_blind_model_is_right_in_half_of_the_cases(root: Path) -> None:
    every = scene_question_samples(data_of(root), "train")
    assert len({sample.sample_id for sample in every}) == len(every)
    samples = [sample for sample in every if sample.target.kind == YES_NO]
    for key in (lambda s: s.image, lambda s: (s.target.group, s.text)):
        answers: dict[object, list[str]] = {}
        for sample in samples:
            answers.setdefault(key(sample), []).append(sample.target.accepted[0])
        assert all(sorted(found) == ["no", "yes"] for found in answers.values())
    assert {answer for sample in every for answer in sample.target.accepted} <= set(SCENE_ANSWERS)


def test_a_limit_keeps_groups_whole_and_order_and_words_are_always_the_same(root: Path) -> None:
    samples = scene_question_samples(data_of(root), "train")
    places: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        if sample.target.group:
            places.setdefault(sample.target.group, []).append(place)
    assert all(found == list(range(found[0], found[0] + 4)) for found in places.values())
    again = scene_question_samples(data_of(root), "train")
    assert [(s.sample_id, s.text) for s in samples] == [(s.sample_id, s.text) for s in again]
    assert len({s.target.slices[0] for s in samples[:60]} & set(FAMILIES)) > 2
    assert {s.target.kind for s in samples[:60]} >= {"yes/no", "choice", "short"}


def test_synonyms_and_other_sentences_ask_where_words_shift(root: Path) -> None:
    trained = {word for s in scene_question_samples(data_of(root), "train") for word in str(s.text).split()}
    asked = {word for s in scene_question_samples(data_of(root), "lexical") for word in str(s.text).split()}
    assert {"Does", "picture"} & asked - trained and {"crimson", "scarlet", "azure", "disc", "box"} & asked - trained


def test_absence_is_asked_of_clear_scenes_alone() -> None:
    facts = {
        "objects": [
            {"colour": "red", "shape": "star", "size": "small", "pattern": "solid", "part": "plain"},
            {"colour": "red", "shape": "star", "size": "large", "pattern": "solid", "part": "horned"},
            {"colour": "blue", "shape": "drop", "size": "large", "pattern": "dotted", "part": "plain"},
        ],
        "relations": [["left-of", 0, 2], ["left-of", 1, 2]],
        "sky": "clear", "ground": "grass", "ground_colour": "green",
    }  # fmt: skip
    view = SceneView("1", Path(), facts)
    assert set(view.by_shape) == {"drop"} and set(view.by_colour) == {"blue"} and view.relations == ()
    assert view.counts == {(): 3, (("shape", "star"),): 2, (("colour", "red"),): 2, (("shape", "drop"),): 1,
                           (("colour", "blue"),): 1}  # fmt: skip
    assert (("part", "horned"), ("shape", "star")) in view.descriptions
    night = SceneView("2", Path(), {**facts, "sky": NIGHT_SKY})
    assert not night.by_colour and (("colour", "red"),) not in night.counts
    assert all(factor not in ("colour", "pattern") for said in night.descriptions for factor, _ in said)


def test_the_task_scores_right_wrong_and_unreadable(few_scenes: Path, open_context: Callable[..., DataContext]) -> None:
    data = task.open_data(open_context("scenes"))
    samples = task.samples(data, "train")
    ceilings = task.ceilings(data, "train", samples)
    assert ceilings["accuracy[yes/no]"] == {"vision": 0.5, "text": 0.5, "both": 1.0}
    assert ceilings["accuracy"] == {"text": pytest.approx(task.chance(data, samples)), "both": 1.0}

    def scores(say: Callable[[Sample], object]) -> dict[str, float]:
        answers = [Outcome(s.sample_id, say(s)) for s in samples]
        with task.scorer(data, few_scenes) as scorer:
            scorer.prepare(samples)
            found = scorer.score(samples, answers)
            assert len(scorer.notes(samples, answers)) == (found["unparsed"].value > 0)  # type: ignore[union-attr, attr-defined]
        return {name: value.value for name, value in found.items() if value is not None}

    said = {s.sample_id: s.target.accepted[0] for s in samples}
    right = scores(lambda s: f"{said[s.sample_id].capitalize()}.")
    assert right["accuracy"] == right["group-accuracy"] == right["yes-F1"] == 1 and right["unparsed"] == 0
    assert right["yes-share"] == 0.5 and "prior-share" not in right
    yes = scores(lambda s: "yes")
    assert yes["accuracy[yes/no]"] == yes["question-accuracy"] + 0.5 == yes["image-accuracy"] + 0.5 == 0.5
    silent = scores(lambda s: "I cannot see the image.")
    assert silent["accuracy"] == silent["yes-share"] == silent["group-accuracy"] == 0
    by_score = scores(lambda s: [float(said[s.sample_id] == o) for o in s.choices] or said[s.sample_id])
    assert by_score["accuracy"] == by_score["yes-AUC"] == 1
    assert scores(lambda s: [0.5] * len(s.choices) or "")["unparsed"] == 1
