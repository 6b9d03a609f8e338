"""A fusion operator, a head and a tuning policy from outside: one file and one entry point each, and all follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines import catalog
from harness.answers import BOXES, CAPTIONS, LABELS, MAPS, SHORT_ANSWERS, UNSEEN_LABELS
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import UsageError
from harness.plan.model_settings import check_settings
from harness.plan.pairs import supported_pairs
from harness.plan.plugins import load_model
from harness.protocols import BuildContext
from harness.sample import TaskSpec

from ..conftest import SPEC
from .test_discriminative import batch_of, losses_of, spec_of

SMALL = {"joint_width": 16, "join_layers": 1, "layers": 1, "width": 16, "heads": 2}
LADDER = ("C0", "C1", "C2", "C3", "C4", "C5", "C6")


@pytest.fixture(autouse=True)
def _installed(own_parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(own_parts))


@pytest.fixture
def make(prerequisite: Path, languages: dict[str, Path]) -> Callable[..., Any]:
    """Build a model for a task: `make(model, spec, tune=None, kind=None, **settings)`."""

    def make(model: Any, spec: TaskSpec, tune: str | None = None, kind: str = "", **settings: Any) -> Any:
        wanted, language = kind or spec.answers, str(languages["bert"])
        options = ModelOptions(language=language, settings={**SMALL, **settings}, tune=tune, answers=wanted)
        train = TrainOptions(dropout=0.0)
        return model.build(spec, BuildContext(options, train, DecodeOptions(), 0, Path("unused"), prerequisite))

    return make


def test_an_operator_serves_every_task_whose_head_can_take_it_with_its_controls() -> None:
    model = load_model("fuse:highway")
    assert set(model.answers) == {CAPTIONS, LABELS, UNSEEN_LABELS, BOXES, MAPS, SHORT_ANSWERS}
    found = {pair.task: pair for pair in supported_pairs()[0] if pair.model == "fuse:highway"}
    assert {task: pair.controls for task, pair in found.items()} == {
        "coco-caption": ("C1", "C2"), "image-classification": LADDER, "zero-shot-classification": LADDER,
        "coco-detection": LADDER[:-1], "coco-segmentation": LADDER, "visual-question-answering": LADDER,
    }  # fmt: skip
    assert all(pair.fused for pair in found.values())


def test_what_has_a_named_model_is_not_listed_twice() -> None:
    names = [pair.model for pair in supported_pairs()[0]]
    assert "film" in names and "fuse:film" not in names
    assert load_model("fuse:film").recipe(ModelOptions(answers=LABELS)) == catalog.film.recipe(
        ModelOptions(answers=LABELS)
    )


def test_its_own_settings_reach_it_and_its_recipe(make: Callable[..., Any]) -> None:
    model: Any = load_model("fuse:highway")
    check_settings({"carry": 2}, [model])
    for kind in (CAPTIONS, LABELS):
        assert model.recipe(ModelOptions(answers=kind, settings={"carry": "2.5"}))["carry"] == 2.5
        assert model.recipe(ModelOptions(answers=kind))["carry"] == 1.0
    assert "carry" not in catalog.film.recipe(ModelOptions(answers=LABELS, settings={"carry": "2.5"}))
    learner = make(model, spec_of(LABELS, beside=True), carry=2.5)
    assert (learner.neck.fusion.gate.bias == -2.5).all()
    with pytest.raises(UsageError, match="carry='much': wanted a number"):
        model.recipe(ModelOptions(answers=LABELS, settings={"carry": "much"}))
    with pytest.raises(UsageError, match="does not answer with choices"):
        model.recipe(ModelOptions(answers="choices"))


def test_its_parts_name_their_code() -> None:
    model: Any = load_model("fuse:highway")
    assert model.parts(ModelOptions(answers=LABELS, settings={"head": "smoothed-labels"}, tune="last-blocks")) == (
        "own_parts.highway:HighwayFeatures", "own_parts.smoothed_labels:build", "own_parts.last_blocks:tune",
    )  # fmt: skip
    assert model.parts(ModelOptions(answers=CAPTIONS)) == (
        "own_parts.highway:HighwayDecoder", "baselines.tuning.full:tune",
    )  # fmt: skip
    assert catalog.film.parts(ModelOptions(answers=BOXES)) == (
        "baselines.fusion.film:FilmFeatureFusion", "baselines.heads.box_head:build", "baselines.tuning.frozen:tune",
    )  # fmt: skip


@pytest.mark.parametrize("kind", [LABELS, BOXES, MAPS])
@pytest.mark.parametrize("control", [None, "C1", "C5"])
def test_it_learns(kind: str, control: str | None, make: Callable[..., Any]) -> None:
    model, spec = load_model("fuse:highway"), spec_of(kind)
    learner = make(model if control is None else model.with_control(control), spec)
    losses = losses_of(learner, spec, 8)
    assert losses[-1] < losses[0]
    assert len(learner.predict(batch_of(learner, spec))) == len(spec.training_targets)


def test_it_writes(make: Callable[..., Any]) -> None:
    learner = make(load_model("fuse:highway"), SPEC)
    assert learner.decoder.fusion.prefix_length == 1


def test_a_head_is_chosen_by_name_and_serves_every_discriminative_model(make: Callable[..., Any]) -> None:
    spec = spec_of(LABELS)
    options = ModelOptions(answers=LABELS, settings={"head": "smoothed-labels", "smoothing": 0.2})
    for model in (catalog.film, catalog.vision_only, catalog.probe, catalog.class_embedding):
        recipe = model.recipe(options)
        assert (recipe["head"], recipe["smoothing"]) == ("smoothed-labels", 0.2)
        learner = make(model, spec, head="smoothed-labels", smoothing=0.2)
        assert (type(learner.head).__name__, learner.head.smoothing) == ("SmoothedLabels", 0.2)
        assert learner.loss_is_mean_over_samples
    assert type(make(catalog.film, spec).head).__name__ == "LabelHead", "where none is named"
    assert type(make(catalog.film, spec_of(BOXES), head="smoothed-labels").head).__name__ == "BoxHead"
    with pytest.raises(UsageError, match=r"model\.head=smothed-labels: there is no such head\. Did you mean"):
        catalog.film.recipe(ModelOptions(answers=LABELS, settings={"head": "smothed-labels"}))


def test_a_policy_moves_what_it_says(make: Callable[..., Any]) -> None:
    for blocks in (1, 2):
        learner = make(catalog.cross_attention, SPEC, tune="last-blocks", last_blocks=blocks)
        moving = {name.split("layer.")[1][0] for name, _ in learner.parameter_groups().language}
        assert moving == {str(2 - number) for number in range(blocks)}, "of three blocks"
    recipe = catalog.cross_attention.recipe(ModelOptions(answers=CAPTIONS, tune="last-blocks"))
    assert (recipe["tune"], recipe["last_blocks"]) == ("last-blocks", 1)
    assert "rank" not in recipe


def test_a_head_of_a_kind_of_its_own_serves_a_task_that_nobody_else_knows(
    make: Callable[..., Any], install: Callable[[str, dict[str, dict[str, str]], str], Path]
) -> None:
    """Every discriminative model answers with what some installed head does, the third party's too."""
    source = """
from baselines.heads.head import Head
ordered = Head("ordered", "classes in an order", ("labels:ordered",), "own_parts.smoothed_labels:build",
               adds=False, settings={"smoothing": 0.0})
"""
    assert "labels:ordered" not in catalog.vision_only.answers
    install("ordered_head", {"bench.heads": {"ordered": "ordered_head:ordered"}}, source)
    for model in (catalog.vision_only, catalog.film, load_model("fuse:highway")):
        assert "labels:ordered" in model.answers
    assert "labels:ordered" not in catalog.bilinear.answers, "which is kept to labels"
    assert catalog.film.controls_for("labels:ordered") == LADDER[:-1]
    assert catalog.film.recipe(ModelOptions(answers="labels:ordered"))["smoothing"] == 0.0
    assert type(make(catalog.film, spec_of(LABELS), kind="labels:ordered").head).__name__ == "SmoothedLabels"
