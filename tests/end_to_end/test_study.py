"""`bench study` at tiny size: planned, killed without warning, gone on with; and words for what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..tasks.squares import write_squares

pytestmark = pytest.mark.slow
BACKBONE = "mobilenetv3_small_050"
TASK = "image-classification"
TINY = (
    "study", "--task", TASK, "--model", "class-embedding", "--profile", "smoke", "--device", "cpu", "--data", "squares",
    "--vision", BACKBONE, "--vision-weights", "backbone.safetensors", "--vision-args", "size=32", "--claims", "g,e,f",
    "--set", "study.severities=3", "--set", "train.steps=2", "--set", "measure.runs=2", "--set", "measure.warmups=1",
    "--set", "evaluate.resamples=40", "--set", "perturb.limit=6", "--seeds", "2",
)  # fmt: skip


@dataclass(frozen=True)
class Studied:
    """The command beside its data, and what a whole study came to."""

    bench: Any
    whole: dict[str, Any]


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any]) -> Studied:
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("study")
    write_squares(folder / "squares")
    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), folder / "backbone.safetensors")
    bench = bench_in(folder)
    done = bench(*TINY, "--results", "whole", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "trying one short cell" in done.stderr
    return Studied(bench, json.loads(done.stdout))


def kept(results: Path) -> dict[str, int]:
    """When each record and training was written."""
    done = (*results.glob("*/training/*/training.json"), *results.glob("*/records/*.json"))
    return {str(path): path.stat().st_mtime_ns for path in done}


def decided(told: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(v["claim"], str(v["model"]), v["outcome"], v["reason"]) for v in told["verdicts"]]


def test_a_study_plans_runs_and_judges(studied: Studied) -> None:
    told = studied.whole
    assert (told["cells"], told["conditions"], told["seeds"]) == (4, 60, 2)
    assert {step["claim"]: (step["cells"], step["conditions"]) for step in told["steps"]} == {
        "cost": (4, 0), "fragility": (0, 60),
    }  # fmt: skip
    assert [(each["claim"], each["reason"]) for each in told["not_planned"]] == [
        ("forgetting", "no sequence of domains to train on: name some with --set study.sequence=a,b")
    ]
    assert told["notes"][0] == "2 seeds: no claim is decided below 5; give --seeds 5."
    assert {claim for claim, *_ in decided(told)} == {"cost", "fragility"}
    assert "not planned" not in decided(told)


def test_a_killed_study_goes_on_and_comes_to_the_same(studied: Studied, processes: Any) -> None:
    cut = studied.bench.folder / "cut"
    run = studied.bench.start(*TINY, "--results", "cut", "--format", "json")
    try:
        processes.wait_until(lambda: len(list(cut.glob("*/records/*.json"))) >= 2 or run.poll() is not None, 120)
    finally:
        processes.kill_group(run.pid)
    run.communicate(timeout=30)
    before = kept(cut)
    assert 2 <= len(list(cut.glob("*/records/*.json"))) <= 4
    again = studied.bench(*TINY, "--results", "cut", "--format", "json")
    assert again.returncode == 0, again.stderr
    assert before.items() <= kept(cut).items(), "nothing done is done again"
    third = studied.bench(*TINY, "--results", "cut")
    assert third.returncode == 0, third.stderr
    assert "Study of image-classification: 0 cells to run (4 done)" in third.stdout
    assert "Step" not in third.stdout, "there is nothing left to run"
    fragile = [verdict for verdict in decided(studied.whole) if verdict[0] == "fragility"]
    assert [verdict for verdict in decided(json.loads(again.stdout)) if verdict[0] == "fragility"] == fragile
    assert "not decided: forgetting, class-embedding: no sequence of domains to train on" in third.stdout


def test_what_does_not_fit_is_told_before_anything_runs(studied: Studied) -> None:
    for more, told in {
        ("--claims", "fusion-gian"): "--claims fusion-gian: wanted claims with commas between",
        ("--budget", "soon"): "--budget 'soon': wanted a time, as 90 or 90s, 30m, 2h, 1d.",
        ("--budget", "0"): "--budget 0: wanted a time above 0",
        ("--claims", "a", "--budget", "1s"): "--budget: 1 s is less than planning and one cell take here: ",
        ("--model", "probe"): "--model probe: it is not fused",
        ("--task", "all"): "--task all: bench study takes one task at a time",
        ("--stand-in", "film"): "--stand-in film: wanted an un-fused model of image-classification",
    }.items():
        done = studied.bench(*TINY, "--results", "whole", *more)
        assert done.returncode == 2, done.stdout
        assert told in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("study", "--task", "image-classification"), ("doctor", "--instrument")])
def test_a_folder_that_cannot_be_written_is_told_first(studied: Studied, command: tuple[str, ...]) -> None:
    (studied.bench.folder / "file").write_bytes(b"")
    done = studied.bench(*command, "--results", "file/inside")
    assert done.returncode == 3
    assert "Cannot write file/inside/" in done.stderr
    assert not done.stdout


def test_records_of_other_data_are_named_and_left_out(studied: Studied) -> None:
    write_squares(studied.bench.folder / "other", {"train": 6, "val": 2, "test": 2})
    done = studied.bench(*TINY, "--data", "other", "--results", "whole", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "whole also holds 4 records of other data (squares," in " ".join(done.stdout.split())
    assert "4 cells to run (0 done)" in done.stdout
