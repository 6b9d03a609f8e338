"""Profile, file, flags and --set over each other; and an error with a name for whatever does not fit."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.config import build_config, parse_setting, parse_value, profile_path
from harness.plan.run_request import RunRequest


@pytest.fixture
def toml(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "run.toml"
        path.write_text(text)
        return path

    return write


def test_the_last_of_profile_file_flags_and_set_wins(toml: Any) -> None:
    profile = build_config({"profile": "smoke"})
    file = toml('profile = "smoke"\nseeds = 2\nlimit = 5\n[train]\nsteps = 6\nbatch_size = 7\n')
    from_file = build_config({}, file=file)
    from_flags = build_config({"seeds": 3, "limit": 9}, file=file)
    from_set = build_config({"seeds": 3, "limit": 9}, ["steps=10", "evaluate.limit=11"], file=file)
    assert profile.train.steps == 8
    assert profile.evaluate.limit == 48
    assert (from_file.request.seeds, from_file.train.steps, from_file.evaluate.limit) == (2, 6, 5)
    assert (from_flags.request.seeds, from_flags.train.steps, from_flags.evaluate.limit) == (3, 6, 9)
    assert (from_set.train.steps, from_set.train.batch_size, from_set.evaluate.limit) == (10, 7, 11)


def test_a_file_holds_every_option(toml: Any) -> None:
    wanted = {
        "task": "t", "data": "d", "split": "val", "limit": 3, "seeds": 2, "controls": "C1,C2", "vision": "resnet18",
        "scenes_track": "plain", "templates": "simple", "lexicon": "opaque", "classes": "c.txt", "log": "wandb",
        "metric_engine": "hotcoco", "vision_weights": "w.safetensors", "language": "l", "tune": "lora", "device": "cpu",
        "results": "r", "profile": "smoke", "on_bad_sample": "skip", "jobs": 2, "job_timeout": 90.5, "perturb": "smoke",
        "job_limit": 60.0, "checkpoint_every": 5.0, "devices": "cuda:0",
        "shift": "s", "exclude": "x", "no_measure": True, "perturb_scale": "cifar", "executor": "local",
        "test_lexicon": "synonym", "prompts": "p.toml", "trials": 4,
            "explain": "occlusion",
    }  # fmt: skip
    lines = "".join(f"{key} = {str(v).lower() if isinstance(v, bool) else repr(v)}\n" for key, v in wanted.items())
    sections = '[model]\nname = "a, b,a"\ndepth = 4\n[vision_args]\nmean = [0.1, 0.2, 0.3]\n[measure]\nruns = 4\n'
    config = build_config({}, file=toml(lines + sections))
    assert asdict(config.request) == wanted | {"model": "a, b,a", "track": None}
    assert set(wanted) | {"model", "track"} == {item.name for item in fields(RunRequest)}
    assert config.models == ("a", "b")
    assert config.options.settings["depth"] == 4
    assert config.options.vision_args == {"mean": [0.1, 0.2, 0.3]}
    assert config.measure.runs == 4


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("controls = true", "all"), ("controls = false", None), ('controls = "C1,C2"', "C1,C2"), ("", None)],
)
def test_all_controls_or_some_are_asked_for_in_a_file_and_by_keyword(toml: Any, line: str, wanted: str | None) -> None:
    assert build_config({}, file=toml(line + "\n")).request.controls == wanted
    assert build_config({"controls": wanted == "all" or wanted}).request.controls == wanted


@pytest.mark.parametrize(
    ("flags", "settings", "file", "message"),
    [
        ({}, ["train.stepz=5"], "", "train.stepz.*Did you mean 'train.steps'"),
        ({}, ["stepz=5"], "", "unknown key 'stepz'"),
        ({}, ["steps"], "", "wanted key=value"),
        ({}, ["limit=5"], "", "train and evaluate and perturb and explain; write train.limit=…"),
        ({}, ["train.steps=many"], "", r"\[train\]: steps = 'many'"),
        ({}, ["train.steps=-1"], "", "steps = -1; wanted 0 or more"),
        ({}, ["train.steps=true"], "", "steps = true"),
        ({}, ["train.learning_rate=0"], "", "learning_rate = 0.0; wanted more than 0"),
        ({}, ["train.learning_rate=inf"], "", "learning_rate = inf; wanted a finite number"),
        ({}, ["model.depth=nan"], "", "--set model.depth = nan; wanted a finite number"),
        ({}, ["task.share=[0.5, -inf]"], "", r"--set task.share\[1\] = -inf; wanted a finite number"),
        ({}, [], "[model]\nnested = { a = [inf] }\n", r"model.nested.a\[0\] = inf; wanted a finite number"),
        ({}, [], "[vision_args]\ncrop = nan\n", "vision_args.crop = nan; wanted a finite number"),
        ({}, [], "[task]\nx = -inf\n", "task.x = -inf; wanted a finite number"),
        ({"job_timeout": float("inf")}, [], "", "job_timeout = inf; wanted a finite number"),
        ({"job_timeout": -1.0}, [], "", "job_timeout = -1.0; wanted 0 or more"),
        ({}, ["train.learning_rate=nan"], "", "learning_rate = nan; wanted a finite number"),
        ({}, ["dropout=1.0"], "", "dropout = 1.0; wanted 0 or more and less than 1"),
        ({}, ["train.precision=fp61"], "", "precision = 'fp61'. Did you mean 'fp16'"),
        ({}, ["evaluate.precision=half"], "", "precision = 'half'. Known: auto, bf16, fp16, fp32"),
        ({}, ["precision=fp16"], "", "'precision' stands in train and evaluate; write train.precision"),
        ({"on_bad_sample": "ignore"}, [], "", "on_bad_sample = 'ignore'. Known: fail, skip"),
        ({"seeds": 0}, [], "", "seeds = 0; wanted more than 0"),
        ({"profile": "smok"}, [], "", "Unknown profile 'smok'. Did you mean 'smoke'"),
        ({}, [], "sead = 3", "Unknown key 'sead' in .*run.toml. Did you mean 'seeds'"),
        ({}, [], "[trian]\nsteps = 3", r"Unknown section \[trian\]. Did you mean 'train'"),
        ({}, [], "[train]\nstep = 3", r"Unknown key 'step' in \[train\]. Did you mean 'steps'"),
        ({}, [], "seeds = true", "seeds = true; wanted a value"),
        ({}, [], "controls = 3", "controls = 3"),
        ({}, [], "seeds = = 3", "run.toml cannot be read as TOML.*line 1"),
    ],
)
def test_what_does_not_fit_is_named(
    flags: dict[str, Any], settings: list[str], file: str, message: str, toml: Any
) -> None:
    with pytest.raises(UsageError, match=message):
        build_config(flags, settings, file=toml(file) if file else None)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            build_config({}, file=path)


def test_vision_args_split_outside_brackets_only() -> None:
    options = build_config({}, vision_args="depth=3,mean=[0.1,0.2,0.3],pool=avg").options
    assert options.vision_args == {"depth": 3, "mean": [0.1, 0.2, 0.3], "pool": "avg"}
    with pytest.raises(UsageError, match="'depth' is not key=value"):
        build_config({}, vision_args="depth")
    with pytest.raises(UsageError, match=r"vision_args.mean\[1\] = nan; wanted a finite number"):
        build_config({}, vision_args="mean=[0.1,nan,0.3]")


def test_set_reaches_models_freely() -> None:
    config = build_config({}, ["model.depth=4", "vision_args.crop=0.9"])
    assert config.options.settings["depth"] == 4
    assert config.options.vision_args["crop"] == 0.9


@pytest.mark.parametrize("name", ["smoke", "standard", "full", "study-quick", "study-standard"])
def test_profiles_are_complete_and_their_order_is_by_cost(name: str) -> None:
    assert profile_path(name).is_file()
    assert build_config({"profile": name}).train.steps > 0


def test_a_profile_of_ones_own_goes_by_path(toml: Any) -> None:
    assert build_config({"profile": str(toml("[train]\nsteps = 3\n"))}).train.steps == 3


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)))
def test_values_come_back_as_they_were_written(value: object) -> None:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(st.text())
def test_any_setting_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        section, key, _ = parse_setting(text)
    except UsageError as error:
        assert str(error).startswith("--set")
    else:
        assert section
        assert "=" in text
        assert key in text


def test_a_section_for_one_task_counts_there_only_and_more_than_the_general_one(toml: Any) -> None:
    file = toml(
        'profile = "smoke"\n[train]\nsteps = 6\nbatch_size = 7\n[for.a.train]\nsteps = 60\n[for.a.task]\ntrack = "x"\n'
        "[for.b.model]\ndepth = 3\n[task]\nlexicon = 'l'\n"
    )
    config = {task: build_config({}, file=file, task=task) for task in ("a", "b", "c", None)}
    assert {task: built.train.steps for task, built in config.items()} == {"a": 60, "b": 6, "c": 6, None: 6}
    assert {task: built.train.batch_size for task, built in config.items()} == dict.fromkeys(config, 7)
    assert config["a"].task_settings == {"track": "x", "lexicon": "l"}
    assert config["b"].task_settings == {"lexicon": "l"}
    assert (config["b"].options.settings["depth"], "depth" in config["a"].options.settings) == (3, False)
    assert set(config["c"].own_sections) >= {"a", "b"}
    assert build_config({}, ["train.steps=9"], file=file, task="a").train.steps == 9
    assert build_config({"scenes_track": "y"}, file=file, task="a").task_settings["track"] == "y"


def test_the_file_is_laid_over_the_profile_also_for_one_task(toml: Any, tmp_path: Path) -> None:
    profile = tmp_path / "own.toml"
    profile.write_text("[train]\nsteps = 1\n[for.a.train]\nsteps = 2\nbatch_size = 2\n")
    general = build_config({"profile": str(profile)}, file=toml("[train]\nsteps = 3\n"), task="a")
    assert (general.train.steps, general.train.batch_size) == (3, 2)
    own = build_config({"profile": str(profile)}, file=toml("[for.a.train]\nsteps = 4\n"), task="a")
    assert (own.train.steps, own.train.batch_size) == (4, 2)
    assert build_config({"profile": str(profile)}, task="a").train.steps == 2
    assert build_config({"profile": str(profile)}, task="b").train.steps == 1


def test_settings_of_tasks_come_from_flags_file_and_set(toml: Any) -> None:
    file = toml('scenes_track = "x"\n[task]\ntrack = "y"\nunseen = ["a", "b"]\nname = "t"\n')
    config = build_config({}, file=file)
    assert config.request.task == "t"
    assert config.task_settings == {"track": "x", "unseen": ["a", "b"]}, "a flag's key is more than the section"
    changed = build_config({"scenes_track": "z", "metric_engine": "e"}, ["task.unseen=c"], file=file).task_settings
    assert changed == {"track": "z", "unseen": "c", "metric_engine": "e"}
    assert build_config({}).task_settings == {}


@pytest.mark.parametrize(
    ("task", "alone"), [("coco-caption", True), ("all", False), ("a,b", False), ("coco-caption,", False)]
)
def test_a_run_of_one_task_is_told_from_one_of_several(task: str, alone: bool) -> None:
    assert build_config({"task": task}).names_one_task is alone


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("for = 3", "Unknown key 'for'|holds 3"),
        ("[for]\na = 3", r"\[for\] holds {'a': 3}; wanted sections \[for.TASK.SECTION\]"),
        ("[for.a]\ntrain = 3", r"'train' = 3 stands where a section was wanted: \[train\]"),
        ("[for.a]\nsteps = 3", r"'steps' = 3 stands where a section was wanted"),
        ("[for.a.trian]\nsteps = 3", r"Unknown section \[trian\]. Did you mean 'train'"),
        ("[for.a.train]\nstepz = 3", r"Unknown key 'stepz' in \[train\]. Did you mean 'steps'"),
        ("[for.a.train]\nsteps = -1", "steps = -1; wanted 0 or more"),
        ("[evaluate]\nemap = -1", "emap = -1; wanted 0 or more"),
        ("[train]\ngate_steps = 0.5", "gate_steps = 0.5"),
        ("[task.deep]\ntrack = 'x'\n[model.deep]\nx = 1", None),
    ],
)
def test_sections_that_do_not_fit_are_named(file: str, message: str | None, toml: Any) -> None:
    for own in ("file", "profile"):
        path = toml(file)
        flags, given = ({}, path) if own == "file" else ({"profile": str(path)}, None)
        if message is None:
            build_config(flags, file=given, task="a")  # free sections: models and tasks look at them
            continue
        with pytest.raises(UsageError, match=message):
            build_config(flags, file=given, task="a")
