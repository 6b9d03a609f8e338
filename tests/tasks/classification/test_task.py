"""`image-classification`: which data it opens, what models are told, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, UsageError
from harness.plan.asked_models import check_task_settings
from harness.plan.plugins import load_task
from harness.protocols import DataContext, Task
from tasks.classification.task import image_classification as task
from tasks.scenes.class_texts import CLASS_LEXICONS, class_texts
from tasks.scenes.factors import SHAPES
from tasks.scenes_data.labels import CLOSED_KINDS, CONDITIONS
from tests.tasks.squares import write_squares

MakeContext = Callable[..., DataContext]
SCENES = "scenes"


def test_it_is_the_installed_task() -> None:
    assert load_task("image-classification") is task
    assert isinstance(task, Task)
    assert task.metrics[0] == "top-1"


@pytest.mark.parametrize(
    ("track", "names", "split"),
    [("plain", None, "test"), ("context", None, "test"), ("reference", SHAPES, "refer")],
)
def test_scenes_by_track(
    track: str, names: tuple[str, ...] | None, split: str, few_scenes: Path, open_context: MakeContext
) -> None:
    data = task.open_data(open_context(SCENES, track=track))
    assert (data.name, data.layout, data.root) == (f"scenes:{track}", "scenes", few_scenes)
    assert (data.training_split, data.selection_split, data.default_split) == ("train", "val", split)
    assert data.options["track"] == track
    training = task.samples(data, "train")
    spec = task.spec(data, training)
    assert spec.classes.names == (names or tuple(kind.name for kind in CLOSED_KINDS))
    assert spec.training_targets == tuple(sample.target for sample in training)
    assert len(spec.training_texts) == (0 if track == "plain" else len(training))
    assert all(spec.classes.seen) and len(spec.classes.attributes) == len(spec.classes)
    with task.scorer(data, few_scenes) as scorer:
        assert scorer.classes == spec.classes  # type: ignore[attr-defined]


def test_biased_training_is_other_data(few_scenes: Path, open_context: MakeContext) -> None:
    plain, biased = (task.open_data(open_context(SCENES, badge_agreement=share)) for share in (0.5, 0.95))
    assert plain == task.open_data(open_context(SCENES))
    assert (biased.name, biased.training_split, biased.options["badge_agreement"]) == (
        "scenes:plain+badge=0.95", "groups-train", 0.95,
    )  # fmt: skip
    assert biased.digest != plain.digest
    with pytest.raises(UsageError, match=r"task.badge_agreement = 0.7: wanted 0.5 \(as by chance\) or 0.95"):
        task.open_data(open_context(SCENES, badge_agreement=0.7))


def test_plain_is_the_default_and_settings_are_in_the_digest(few_scenes: Path, open_context: MakeContext) -> None:
    plain = task.open_data(open_context(SCENES))
    assert plain == task.open_data(open_context(SCENES, track="plain", lexicon="transparent", templates="plain"))
    wishes = [{"track": "context"}, {"lexicon": "opaque"}, {"templates": "simple"}, {"track": "reference"}]
    digests = {task.open_data(open_context(SCENES, **wish)).digest for wish in wishes}
    assert len(digests | {plain.digest}) == 5


@pytest.mark.parametrize("lexicon", CLASS_LEXICONS)
def test_classes_are_worded_by_lexicon_and_templates(lexicon: str, few_scenes: Path, open_context: MakeContext) -> None:
    data = task.open_data(open_context(SCENES, lexicon=lexicon, templates="simple"))
    classes = task.spec(data, ()).classes
    worded = class_texts(lexicon)
    assert classes.texts == tuple(tuple(f"a photo of a {text}." for text in worded[kind.name]) for kind in CLOSED_KINDS)


def test_templates_word_shapes_too(few_scenes: Path, tmp_path: Path, open_context: MakeContext) -> None:
    (tmp_path / "t.txt").write_text("a {}\nthe {}\n")
    data = task.open_data(open_context(SCENES, track="reference", templates=str(tmp_path / "t.txt")))
    (tmp_path / "t.txt").unlink()
    assert task.spec(data, ()).classes.texts[0] == (f"a {SHAPES[0]}", f"the {SHAPES[0]}")


def test_ceilings_are_known_on_scenes_alone(few_scenes: Path, tmp_path: Path, open_context: MakeContext) -> None:
    data = task.open_data(open_context(SCENES, track="context"))
    samples = task.samples(data, "test")
    found = task.ceilings(data, "test", samples)
    assert set(found["top-1"]) == {"vision", "text", "both"}
    clear = [found[f"top-1[clear {condition}]"]["both"] for condition in CONDITIONS]
    assert clear == [1.0] * 4, "by day the image tells all"
    folder = task.open_data(open_context(write_squares(tmp_path / "d")))
    assert task.ceilings(folder, "test", task.samples(folder, "test")) == {}


def test_predictions_are_read_with_the_classes_of_the_data(
    few_scenes: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    data = task.open_data(open_context(SCENES))
    path = tmp_path / "p.csv"
    path.write_text(f"sample_id,label\n1,{CLOSED_KINDS[3].name}\n2,{CLOSED_KINDS[0].name}\n")
    assert [(o.sample_id, o.prediction) for o in task.read_predictions(path, data)] == [("1", 3), ("2", 0)]
    path.write_text("sample_id,label\n1,3\n2,0\n")
    assert [(o.sample_id, o.prediction) for o in task.read_predictions(path, data)] == [("1", 3), ("2", 0)]
    with pytest.raises(DataError, match=r"row 1 .sample 1. has the label 'teapot'; wanted a class name"):
        path.write_text("sample_id,label\n1,teapot\n")
        task.read_predictions(path, data)
    with pytest.raises(UsageError, match="takes its labels from --data, not from --references"):
        task.read_references(path)


def test_which_split_is_asked_for_decides_what_is_made(open_context: MakeContext, monkeypatch: Any) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(
        "tasks.scenes_data.open.ensure_scenes", lambda cache, names, **_: made.append(names) or Path("made")
    )
    task.open_data(open_context(SCENES))
    task.open_data(open_context(SCENES, "style", track="context"))
    task.open_data(open_context(SCENES, track="reference"))
    assert made == [["train", "val", "test"], ["train", "val", "style"], ["train", "val", "refer"]]


@pytest.mark.parametrize(
    ("settings", "split", "message"),
    [
        ({"track": "contxt"}, None, "--scenes-track contxt: unknown. Did you mean 'context'"),
        ({"track": 3}, None, "--scenes-track 3: unknown. Known: context, plain, reference"),
        ({"lexicon": "opaq"}, None, "--lexicon opaq: unknown. Did you mean 'opaque'"),
        ({"templates": "no.txt"}, None, "--templates no.txt: neither a file that can be read"),
        ({"classes": "c.txt"}, None, r"'classes' \(c.txt\) is for folders: the classes of Scenes are fixed"),
        ({}, "tset", "Scenes has no split 'tset'. Did you mean 'test'"),
        ({}, "open", "Scenes has no split 'open'"),
    ],
)
def test_wrong_wishes_are_named(
    settings: dict[str, Any], split: str | None, message: str, few_scenes: Path, open_context: MakeContext
) -> None:
    with pytest.raises(UsageError, match=message):
        task.open_data(open_context(SCENES, split, **settings))


def test_the_order_is_wish_then_environment_then_folder_then_scenes(
    few_scenes: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    context = replace(open_context(""), wish=None)
    assert task.open_data(context).layout == "scenes"
    with pytest.raises(DataError, match="--data coco: COCO is not here"):
        task.open_data(replace(context, wish="coco"))
    there = write_squares(tmp_path / "there")
    environment = replace(context, environment=str(there))
    assert task.open_data(environment).root == there.resolve()
    assert task.open_data(replace(environment, wish="scenes")).layout == "scenes"


def test_settings_of_other_tasks_are_refused_where_the_task_runs_alone() -> None:
    captions: Any = load_task("coco-caption")
    check_task_settings({"track": "context"}, task)
    check_task_settings({"track": "context"})
    with pytest.raises(
        UsageError, match=r"coco-caption takes no setting 'track' \(it takes: clip_score, instances\). Leave it"
    ):
        check_task_settings({"track": "context"}, captions)
    with pytest.raises(UsageError, match=r"image-classification takes no setting 'unseen' \(it takes: track, "):
        check_task_settings({"unseen": "red"}, task)
    with pytest.raises(UsageError, match=r"Unknown setting task.trak. Did you mean 'track'"):
        check_task_settings({"trak": "context"}, task)
