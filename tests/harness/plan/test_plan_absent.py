"""What cannot run is planned as absent with its reason: untrained data, broken plugins; what is left out by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import CheckpointError, PluginError, UsageError
from harness.plan.config import build_config
from harness.plan.pairs import supported_pairs
from harness.plan.plugins import load_all, load_model, load_task, task_names
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.plan.taken_whole import needs_training
from harness.protocols import DataContext, Progress
from harness.sample import Dataset
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

TASK = "image-classification"
TEST_ONLY = Dataset("d", Path("d"), "0" * 64, "x", ("test",), None, None, "test")
MODEL = """
class Model:
    name, summary, tasks, fused, evaluates_only = "planted", "a summary", ("image-classification",), False, True
    settings = ()
    def controls_for(self, task): return ()
    def with_control(self, control): ...
    def recipe(self, options): return {}
    def prerequisite(self, options): return None
    def build(self, spec, context): ...
model = Model()
"""
Install = Callable[[str, dict[str, dict[str, str]], str], Path]
MakePlan = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """Plan `image-classification` on made-up data with a test split alone, or on other data."""

    def make(
        data: Dataset = TEST_ONLY,
        settings: tuple[str, ...] = (),
        progress: Progress = lambda *_: None,
        **flags: Any,
    ) -> Plan:
        monkeypatch.setattr(type(load_task(TASK)), "open_data", lambda self, context: data)
        wishes = {"task": TASK, "device": "cpu", "profile": "standard", **flags}
        config = build_config(wishes, settings, task=TASK)
        return plan_run(config, TASK, Environment(tmp_path, tmp_path / "cache"), progress)

    return make


def plant(install: Install, source: str) -> None:
    install("planted_package", {"bench.models": {"planted": "planted_package:model"}}, source)


def test_without_a_training_split_models_run_that_need_none(plan: MakePlan, install: Install) -> None:
    plant(install, MODEL)
    found = plan(model="all")
    assert [cell.training.model for cell in found.cells] == ["planted"], "the others' weights are not here"
    reasons = {absent.model: absent for absent in found.absent}
    assert reasons["film"].reason.startswith("film must be trained, and d has no training split.")
    assert "not in the Hugging Face cache" in reasons["timm-resnet50"].reason
    assert not any(absent.named for absent in found.absent)
    (film,) = plan(model="film,planted").absent
    assert film.named


def test_pretrained_models_taken_whole_say_so() -> None:
    whole = {model.name for model in load_all("models")[0] if not needs_training(model)}
    assert whole == {
        "clip-zero-shot", "hf-blip", "hf-blip2", "hf-clipseg", "hf-detr", "hf-git", "hf-grounding-dino", "hf-oneformer",
        "hf-owlv2", "hf-owlvit", "hf-rtdetr", "hf-segformer", "hf-vit", "open-clip-coca", "open-clip-vit-b-32",
        "timm-resnet50",
    }  # fmt: skip
    assert not needs_training(load_model("timm:resnet50.a1_in1k"))
    assert needs_training(SimpleNamespace())


def test_every_task_has_a_spec_without_training_samples(tmp_path: Path) -> None:
    write_splits(cache_root(tmp_path), ["train", "val", "test", "novel"], processes=1, limit=8)
    context = DataContext("scenes", None, None, tmp_path, tmp_path, lambda *_: None)
    for name in task_names():
        task = load_task(name)
        spec = task.spec(task.open_data(context), ())
        assert (spec.task, tuple(spec.training_targets)) == (name, ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def recipe(self, options): return {}", "def recipe(self, options): raise ValueError('planted')"),
        ("def recipe(self, options): return {}", "def recipe(self, options): raise SystemExit('planted')"),
        ("def recipe(self, options): return {}", "def recipe(self, options): return {'planted': object()}"),
        ("def recipe(self, options): return {}", "def recipe(self, options): return None  # planted"),
        ("def prerequisite(self, options): return None", "def prerequisite(self, options): raise KeyError('planted')"),
        ("def controls_for(self, task): return ()", "def controls_for(self, task): raise KeyError('planted')"),
        ("evaluates_only = ", "other = "),
    ],
)
def test_one_plugins_exception_is_its_own_absence(old: str, new: str, plan: MakePlan, install: Install) -> None:
    assert old in MODEL
    plant(install, MODEL.replace(old, new))
    told: list[str] = []
    found = plan(model="all", controls="all", progress=lambda what, done, total: told.append(what))
    planted = [absent for absent in found.absent if absent.model == "planted"]
    if "controls_for" in old:  # it is planned by itself; the pairs name what is wrong with it
        assert [cell.training.model for cell in found.cells] == ["planted"]
        assert "cannot say which controls it has: KeyError" in str(supported_pairs()[1][0])
        assert any("KeyError" in line and line.endswith("planned without its controls.") for line in told)
        return
    assert len(planted) == 1 and not planted[0].named
    if "evaluates_only" not in old:
        assert "'planted' (planted_package) failed while it was planned" in planted[0].reason
        assert "Traceback" in planted[0].trace
    assert "film" in {absent.model for absent in found.absent}
    assert all(absent.named for absent in plan(model="planted").absent)


def test_a_plugin_that_cannot_be_loaded_does_not_stop_all(plan: MakePlan, install: Install) -> None:
    plant(install, "1 / 0")
    found = plan(model="all")
    assert "film" in {absent.model for absent in found.absent}
    assert "'planted' (planted_package:model) cannot be imported: ZeroDivisionError" in str(found.broken[0])
    assert found.broken[0].__cause__ is not None
    with pytest.raises(PluginError, match="cannot be imported"):
        plan(model="film,planted")


def test_a_property_that_raises_is_a_broken_plugin(install: Install) -> None:
    plant(
        install,
        MODEL.replace("    settings = ()\n", "    @property\n    def settings(self): raise OSError('planted')\n"),
    )
    good, (error,) = load_all("models")
    assert "failed while it was looked at: OSError: planted" in str(error)
    assert len(good) > 5


def test_a_broken_checkpoint_is_one_models_absence_unless_the_user_chose_it(
    plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recipe(self: Any, options: Any) -> Any:
        raise CheckpointError("its file is broken.")

    monkeypatch.setattr(type(load_model("timm-resnet50")), "recipe", recipe)
    assert "its file is broken." in {absent.reason for absent in plan(model="all").absent}
    for wish in ({"model": "timm-resnet50"}, {"model": "all", "vision_weights": "given.safetensors"}):
        with pytest.raises((CheckpointError, UsageError)):
            plan(**wish)


def test_a_plugin_that_cannot_be_loaded_is_told_of_unless_it_is_excluded(plan: MakePlan, install: Install) -> None:
    plant(install, "1 / 0")
    assert [error.plugin for error in plan(model="all").broken] == ["planted"]
    assert plan(model="all", exclude="planted").broken == ()


def test_models_are_left_out_by_name(plan: MakePlan) -> None:
    whole = plan(model="all")
    found = plan(model="all", exclude="film, probe")
    assert {a.model for a in whole.absent} - {a.model for a in found.absent} == {"film", "probe"}
    with pytest.raises(UsageError, match=r"--exclude filn: there is no such model\. Did you mean 'film'\?"):
        plan(model="all", exclude="filn")
    with pytest.raises(UsageError, match="--exclude film leaves no model to run"):
        plan(model="film", exclude="film")


@pytest.mark.parametrize(
    ("embedded", "settings", "flags", "limit"),
    [
        (False, (), {}, None),
        (True, (), {}, 4000),
        (False, (), {"limit": 7}, 7),
        (True, (), {"limit": 7}, 7),
        (False, ("evaluate.limit=9",), {}, 9),
        (False, (), {"profile": "smoke"}, 48),
        (False, (), {"profile": "full"}, None),
    ],
)
def test_a_profile_takes_a_part_of_embedded_data_alone(
    embedded: bool,
    settings: tuple[str, ...],
    flags: dict[str, Any],
    limit: int | None,
    plan: MakePlan,
    install: Install,
) -> None:
    plant(install, MODEL)
    (cell,) = plan(replace(TEST_ONLY, embedded=embedded), settings, model="planted", **flags).cells
    assert (cell.evaluate.limit, cell.evaluate.embedded_limit) == (limit, None)


def test_not_to_measure_is_part_of_the_cell(plan: MakePlan, install: Install) -> None:
    plant(install, MODEL)
    (timed,), (untimed,) = plan(model="planted").cells, plan(model="planted", no_measure=True).cells
    assert (timed.measure.timed, untimed.measure.timed) == (True, False)
    assert timed.fingerprint != untimed.fingerprint
    assert timed.training.fingerprint == untimed.training.fingerprint
