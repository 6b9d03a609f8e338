"""`zero-shot-classification`: unseen classes are in no training, and are named from their texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.plan.plugins import load_task
from harness.protocols import DataContext, Task
from harness.sample import Outcome
from tasks.classification.zero_shot import zero_shot_classification as task
from tasks.scenes.class_texts import CLASS_LEXICONS, class_texts
from tasks.scenes.oracle import zero_shot_ceiling
from tasks.scenes_data.labels import OPEN_KINDS
from tasks.scenes_data.open import OPEN
from tests.tasks.squares import NAMES, write_squares

MakeContext = Callable[..., DataContext]
SCENES = "scenes"


def test_it_is_the_installed_task() -> None:
    assert load_task("zero-shot-classification") is task
    assert isinstance(task, Task)
    assert task.metrics[0] == "unseen-top-1"


@pytest.mark.parametrize("counts", [{"train": 20, "val": 3, "test": 4}, {"train": 20, "val": 4}])
@pytest.mark.parametrize("split", [None, "val"])
def test_no_training_or_selection_sample_is_of_an_unseen_class(
    counts: dict[str, int], split: str | None, tmp_path: Path, open_context: MakeContext
) -> None:
    root = write_squares(tmp_path / "d", counts)
    data = task.open_data(open_context(root, split, unseen="red+dark_grey"))
    spec = task.spec(data, task.samples(data, "train"))
    assert dict(zip(spec.classes.names, spec.classes.seen, strict=True)) == {
        name: name not in ("red", "dark_grey") for name in NAMES
    }
    assert spec.classes.texts[1] == ("a photo of a dark grey.",)
    unseen = {NAMES.index("red"), NAMES.index("dark_grey")}
    assert not unseen & {target.label for target in spec.training_targets}
    for part in (data.training_split, data.selection_split):
        assert {s.target.label for s in task.samples(data, part)} == set(range(6)) - unseen
    reported = split or data.default_split
    assert reported != data.selection_split
    assert {s.target.label for s in task.samples(data, reported)} == set(range(6))


def test_which_classes_are_unseen(tmp_path: Path, open_context: MakeContext) -> None:
    def unseen(root: Path, **settings: Any) -> tuple[str, ...]:
        classes = task.spec(task.open_data(open_context(root, **settings)), ()).classes
        return tuple(name for name, seen in zip(classes.names, classes.seen, strict=True) if not seen)

    whole = write_squares(tmp_path / "whole")
    assert unseen(whole) == (min(NAMES, key=lambda name: hashlib.sha256(name.encode()).digest()),) == ("white",)
    assert unseen(whole, unseen="red + blue") == ("blue", "red")
    assert unseen(whole, unseen=["red", "blue", "red"]) == ("blue", "red")
    lacking = write_squares(tmp_path / "lacking", lacking={"train": ("white",)})
    (tmp_path / "c.txt").write_text("\n".join(NAMES))
    classes = str(tmp_path / "c.txt")
    assert unseen(lacking, classes=classes) == ("white",), "train has no image of it"
    assert unseen(lacking, classes=classes, unseen="red") == ("red", "white")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("rde", "task.unseen: no class 'rde'. Did you mean 'red'"),
        (3, "task.unseen: no class '3'. Known: blue, dark_grey"),
        ([3], "task.unseen: no class '3'"),
        ("", "task.unseen names no class"),
        ([], "task.unseen names no class"),
        ("+".join(NAMES), "task.unseen leaves no class of .*d with training samples. Name fewer"),
    ],
)
def test_wrong_unseen_classes_are_named(wish: Any, message: str, tmp_path: Path, open_context: MakeContext) -> None:
    with pytest.raises(UsageError, match=message):
        task.open_data(open_context(write_squares(tmp_path / "d"), unseen=wish))


def test_accuracy_on_squares_by_hand(tmp_path: Path, open_context: MakeContext) -> None:
    """Four squares of each of six colours, two of them unseen."""
    root = write_squares(tmp_path / "d")
    data = task.open_data(open_context(root, unseen="red+dark_grey"))
    samples = task.samples(data, "test")
    red, grey, blue = (NAMES.index(name) for name in ("red", "dark_grey", "blue"))

    def answer(label: int, number: int) -> list[float]:
        scores = np.full(6, 0.01)
        scores[label] += 0.5
        if label == red:  # 3 of 4 are taken for blue, and are red rather than dark grey
            scores[blue] += 0.6 * (number < 3)
        if label == grey:  # 1 of 4 is taken for red
            scores[red] += 0.7 * (number == 0)
        return (scores / scores.sum()).tolist()

    outcomes = [Outcome(s.sample_id, answer(s.target.label, int(s.image.stem))) for s in samples]
    with task.scorer(data, tmp_path) as scorer:
        scorer.prepare(samples)
        found = {name: s.value for name, s in scorer.score(samples, outcomes).items() if s is not None}
    unseen = (1 / 4 + 3 / 4) / 2
    assert found["unseen-top-1"] == 7 / 8
    assert (found["S"], found["U"], found["H"]) == (1, unseen, pytest.approx(2 * unseen / (1 + unseen)))
    assert found["top-1"] == 20 / 24
    assert [found[f"top-1:{name}"] for name in ("red", "dark_grey", "blue")] == [1 / 4, 3 / 4, 1]
    assert set(task.metrics) - set(found) == {"unparsed"}, "which these answers in scores cannot be"
    assert task.validation_score([o.prediction for o in outcomes], [s.target for s in samples]) == found["top-1"]


@pytest.mark.parametrize("lexicon", CLASS_LEXICONS)
def test_scenes_lexicons_word_the_same_pixels(lexicon: str, few_scenes: Path, open_context: MakeContext) -> None:
    data = task.open_data(open_context(SCENES, lexicon=lexicon))
    assert (data.name, data.default_split, data.selection_split) == (f"scenes:{lexicon}", OPEN, "val")
    samples = task.samples(data, OPEN)
    plain = task.open_data(open_context(SCENES))
    assert samples == task.samples(plain, OPEN)
    assert (data.digest == plain.digest) == (lexicon == "transparent")
    spec = task.spec(data, task.samples(data, "train"))
    worded = class_texts(lexicon)
    assert spec.classes.texts == tuple(worded[kind.name] for kind in OPEN_KINDS)
    assert spec.classes.seen == tuple(kind.tier != "novel" for kind in OPEN_KINDS)
    assert all(spec.classes.seen[target.label] for target in spec.training_targets)
    assert all(spec.classes.seen[sample.target.label] for sample in task.samples(data, "val"))
    assert {spec.classes.seen[sample.target.label] for sample in samples} == {True, False}
    ceiling = zero_shot_ceiling(lexicon)
    assert task.ceilings(data, OPEN, samples) == {
        "unseen-top-1": {which: float(getattr(ceiling, which)) for which in ("vision", "text", "both")}
    }


@pytest.mark.parametrize(
    "name", ["zero-shot-classification", "image-classification", "coco-detection", "coco-segmentation"]
)
def test_classes_may_be_called_otherwise_at_test_time(name: str, few_scenes: Path, open_context: MakeContext) -> None:
    asked = load_task(name)
    plain, other = (asked.open_data(open_context(SCENES, **wish)) for wish in ({}, {"test_lexicon": "synonym"}))
    same = asked.open_data(open_context(SCENES, test_lexicon="transparent"))
    assert same == plain and other.digest != plain.digest
    trained, tested = asked.spec(plain, ()).classes, asked.spec(other, ()).classes
    assert (trained.texts, trained.test_texts, trained.texts_at_test) == (tested.texts, (), tested.texts)
    words = {word for texts in tested.texts for text in texts for word in text.split()}
    first = tested.test_texts[0][0].split()
    assert len(tested.test_texts) == len(tested) and not words & set(first)
    with pytest.raises(UsageError, match=r"--test-lexicon synonim: unknown\. Did you mean 'synonym'"):
        asked.open_data(open_context(SCENES, test_lexicon="synonim"))


def test_templates_word_scenes_too(few_scenes: Path, open_context: MakeContext) -> None:
    data = task.open_data(open_context(SCENES, lexicon="synonym", templates="simple"))
    first = class_texts("synonym")[OPEN_KINDS[0].name]
    assert task.spec(data, ()).classes.texts[0] == tuple(f"a photo of a {text}." for text in first)
    assert len(first) == 2


def test_real_data_have_no_ceiling_and_no_references(tmp_path: Path, open_context: MakeContext) -> None:
    data = task.open_data(open_context(write_squares(tmp_path / "d")))
    assert task.ceilings(data, "test", task.samples(data, "test")) == {}
    with pytest.raises(UsageError, match="takes its labels from --data"):
        task.read_references(tmp_path)
    (tmp_path / "p.csv").write_text("sample_id,label\ntest/red/00.png,red\n")
    (outcome,) = task.read_predictions(tmp_path / "p.csv", data)
    assert outcome == Outcome("test/red/00.png", 3)


@pytest.mark.parametrize(
    ("settings", "split", "message"),
    [
        ({"lexicon": "synonyms"}, None, "--lexicon synonyms: unknown. Did you mean 'synonym'"),
        ({"unseen": "red"}, None, r"'unseen' \(red\) is for folders: the classes of Scenes are fixed"),
        ({"classes": "c.txt"}, None, r"'classes' \(c.txt\) is for folders"),
        ({"templates": 3}, None, "--templates 3: neither a file"),
        ({}, "opem", "Scenes has no split 'opem'. Did you mean 'open'"),
    ],
)
def test_wrong_wishes_are_named(
    settings: dict[str, Any], split: str | None, message: str, few_scenes: Path, open_context: MakeContext
) -> None:
    with pytest.raises(UsageError, match=message):
        task.open_data(open_context(SCENES, split, **settings))


def test_a_lexicon_is_for_scenes(tmp_path: Path, open_context: MakeContext) -> None:
    with pytest.raises(UsageError, match=r"'lexicon' \(opaque\) is for Scenes, and .*d is not"):
        task.open_data(open_context(write_squares(tmp_path / "d"), lexicon="opaque"))
    with pytest.raises(DataError, match=r"No folder .*nowhere"):
        task.open_data(open_context(tmp_path / "nowhere"))
