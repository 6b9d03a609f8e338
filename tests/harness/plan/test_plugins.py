"""A plugin that is broken, does not fit or is there twice is named, with its package and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import PluginError, UsageError
from harness.plan.installed import catalogue
from harness.plan.plugins import load_all, load_model, load_task, models_for, task_names
from harness.protocols import controls_on, serves

Install = Callable[[str, dict[str, dict[str, str]], str], Path]
MODEL = """
class Model:
    name, summary, answers, fused = "planted", "a summary", ("captions",), False
    settings = ()
    def controls_for(self, answers): return ()
    def with_control(self, control): ...
    def recipe(self, options): return {}
    def prerequisite(self, options): return None
    def build(self, spec, context): ...
model = Model()
"""


def plant(install: Install, source: str, value: str = "planted_package:model", name: str = "planted") -> None:
    install("planted_package", {"bench.models": {name: value}}, source)


def test_a_third_partys_model_is_found_as_ours_are(install: Install) -> None:
    plant(install, MODEL)
    assert load_model("planted").summary == "a summary"
    assert "planted" in [model.name for model in models_for("coco-caption")[0]]
    assert ("planted", "un-fused") in [(entry.name, entry.kind) for entry in catalogue("models")[0]]


def test_a_model_that_names_its_tasks_serves_these_and_no_other(install: Install) -> None:
    """As third parties' models did before tasks said which kind of answer they want; controls are asked by name."""
    old = MODEL.replace("answers, fused", "tasks, fused").replace('("captions",)', '("coco-detection", "no-task")')
    plant(install, old.replace("return ()", "return ('C2',) if answers == 'coco-detection' else ()"))
    model = load_model("planted")
    served = [name for name in task_names() if serves(model, load_task(name))]
    assert served == ["coco-detection"]
    assert controls_on(model, load_task("coco-detection")) == ("C2",)


TASK = """
class Task:
    name, summary, version, metrics, settings, learnable_score = "planted", "a summary", 1, ("score",), (), 0.0
    answers = "labels:ordered"
    def open_data(self, context): ...
    def samples(self, data, split): ...
    def spec(self, data, training): ...
    def ceilings(self, data, split, samples): ...
    def validation_score(self, predictions, targets): ...
    def scorer(self, data, cache): ...
    def read_predictions(self, path, data): ...
    def read_references(self, path): ...
task = Task()
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('    answers = "labels:ordered"\n', "", "it has no answers: a task says which kind of answer it wants"),
        ('"labels:ordered"', '("labels",)', r"its answers are \('labels',\); a task says"),
    ],
)
def test_a_task_must_say_what_it_wants(old: str, new: str, message: str, install: Install) -> None:
    install("planted_package", {"bench.tasks": {"planted": "planted_package:task"}}, TASK.replace(old, new))
    with pytest.raises(PluginError, match=message):
        load_task("planted")


def test_kinds_of_answer_are_told_apart(install: Install) -> None:
    """A kind that says more than its form is another kind: what answers with labels does not serve it unasked."""
    install("planted_package", {"bench.tasks": {"planted": "planted_package:task"}}, TASK)
    assert models_for("planted")[0] == []
    assert len({load_task(name).answers for name in task_names()}) == len(task_names())
    served = {name: {model.name for model in models_for(name)[0]} for name in task_names() if name != "planted"}
    assert {"hf-vit", "timm-resnet50"} <= served["image-classification"] - served["zero-shot-classification"]
    assert "retrieval" in served["coco-caption"] - served["image-classification"]
    assert "hf-detr" in served["coco-detection"] - served["coco-segmentation"]


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        ("import not_there_at_all", "planted_package:model", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "planted_package:model", "cannot be imported: ZeroDivisionError"),
        ("def (", "planted_package:model", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)", "planted_package:model", "cannot be imported: SystemExit: 3"),
        (MODEL, "planted_package:nothing", "cannot be imported: AttributeError"),
        (MODEL, "planted_package:Model", "it is the class Model; the entry point must name an object"),
        (MODEL.replace("build", "bild"), "planted_package:model", "it has no build"),
        (MODEL.replace("def recipe(self, options): return {}", "recipe = {}"), "planted_package:model", "not a method"),
        (MODEL.replace('("captions",)', '"captions"'), "planted_package:model", "its answers is 'captions'"),
        (MODEL.replace("answers,", "answer,"), "planted_package:model", "it has no answers: a model says which kinds"),
        (
            MODEL.replace("answers,", "tasks,").replace('("captions",)', '"captions"'),
            "planted_package:model",
            "its tasks is 'captions', not a tuple",
        ),
        (MODEL.replace('"planted"', '"other"'), "planted_package:model", "calls itself 'other'"),
    ],
)
def test_a_plugin_that_does_not_work_is_named(source: str, value: str, message: str, install: Install) -> None:
    plant(install, source, value)
    with pytest.raises(PluginError, match=rf"model plugin 'planted' \({value}\).*{message}.*'planted_package'"):
        load_model("planted")
    good, broken = load_all("models")
    assert len(broken) == 1
    assert len(good) > 5


def test_two_packages_with_one_name_are_an_error(install: Install) -> None:
    plant(install, MODEL)
    install("second_package", {"bench.models": {"planted": "second_package:model"}}, MODEL)
    with pytest.raises(PluginError, match=r"Two packages offer 'planted'.*Uninstall one"):
        load_model("planted")


def test_broken_data_is_listed_as_broken(install: Install) -> None:
    install("planted_data", {"bench.data": {"planted": "planted_data:NOTHING"}}, "")
    entries, broken = catalogue("data")
    assert {"coco", "scenes"} <= {entry.name for entry in entries}
    assert "data plugin 'planted'" in str(broken[0])


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (load_task, "coco-captoin", "Unknown task 'coco-captoin'. Did you mean 'coco-caption'.*bench list tasks"),
        (load_model, "cross-atention", "Unknown model 'cross-atention'. Did you mean 'cross-attention'"),
        (load_model, "zzzzzz", "Unknown model 'zzzzzz'. Known: .*concat"),
        (load_model, "nosuchfamily:x", "Unknown model family 'nosuchfamily:'"),
    ],
)
def test_unknown_names_get_the_nearest(load: Callable[[str], object], name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(name)


def test_internal_tasks_are_not_offered() -> None:
    assert "coco-caption" in task_names()
    assert "scene-attributes" not in task_names()
