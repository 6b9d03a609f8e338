"""`bench run --log tensorboard`: what is in the store is in the event files, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..tasks.squares import write_squares

pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")

SQUARES = (
    "--task", "image-classification", "--model", "probe", "--data", "squares", "--results", "results",
    "--profile", "smoke", "--device", "cpu", "--vision", "mobilenetv3_small_050", "--vision-weights",
    "backbone.safetensors", "--vision-args", "size=32", "--set", "measure.runs=2", "--set", "measure.warmups=1",
    "--set", "evaluate.resamples=40", "--set", "train.gate_steps=0", "--log", "tensorboard",
)  # fmt: skip


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.slow
def test_a_run_is_tracked_once(bench: Any, captions: Path, quick: tuple[str, ...]) -> None:
    command = ("run", *quick, "--data", captions, "--results", "results", "--log", "tensorboard")
    first = bench(*command)
    assert first.returncode == 0, first.stderr
    assert "tensorboard: 2 runs logged (0 found logged)" in first.stdout
    root = bench.folder / "results" / "tensorboard" / "word-caption"
    (record,) = (json.loads(path.read_text()) for path in (bench.folder / "results").glob("*/records/*.json"))
    (run,) = (root / "most-common-caption").iterdir()
    logged = scalars(run)
    scores = {name: estimate["value"] for name, estimate in record["metrics"].items() if estimate is not None}
    assert scores
    for name, value in scores.items():
        assert logged[f"score/{name}"] == [(0, pytest.approx(value))]
    (board,) = root.glob("leaderboard-*")
    assert "most-common-caption" in (board / "report.html").read_text()

    again = bench(*command)
    assert "tensorboard: 0 runs logged (2 found logged)" in again.stdout
    assert len(list(root.rglob("events.out.*"))) == 2


def test_a_misspelt_tracker_ends_the_run_before_it_begins(bench: Any, captions: Path, quick: tuple[str, ...]) -> None:
    done = bench("run", *quick, "--data", captions, "--results", "results", "--log", "tensorbord")
    assert done.returncode == 2
    assert "Did you mean 'tensorboard'?" in done.stderr
    assert not (bench.folder / "results").exists()


def test_the_older_option_takes_both_and_tells_of_the_new_ones(
    bench: Any, captions: Path, quick: tuple[str, ...]
) -> None:
    done = bench("run", *quick, "--data", captions, "--results", "results", "--track", "context,tensorboard")
    assert done.returncode == 2
    notice, error = done.stderr.splitlines()  # the task takes no track, and is told of one
    assert notice.startswith("bench: --track context,tensorboard is now --scenes-track context --log tensorboard")
    assert "track" in error and "tensorboard" not in error
    two = bench("run", *quick, "--data", captions, "--track", "plain", "--track", "context")
    assert two.returncode == 2 and "names two tracks, plain and context" in two.stderr


@pytest.mark.slow
def test_training_curves_are_those_of_the_log(bench: Any) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    write_squares(bench.folder / "squares")
    torch.manual_seed(0)
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), bench.folder / "backbone.safetensors")
    done = bench("run", *SQUARES)
    assert done.returncode == 0, done.stderr + done.stdout
    (log,) = (bench.folder / "results").glob("*/training/*/log.jsonl")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    (run,) = (bench.folder / "results" / "tensorboard" / "image-classification" / "probe").iterdir()
    logged = scalars(run)
    for name in ("loss", "validation_score"):
        wanted = [(entry["step"], pytest.approx(entry[name])) for entry in entries if name in entry]
        assert wanted and logged[f"train/{name}"] == wanted
