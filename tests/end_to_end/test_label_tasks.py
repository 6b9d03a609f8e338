"""`bench run` of both classification tasks, on a few images of Scenes and on a folder, to the leaderboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.scenes import cache_root, layout
from tasks.scenes.generate import write_splits
from tasks.scenes.oracle import context_cells, zero_shot_ceiling

from ..tasks.squares import write_squares

pytestmark = pytest.mark.slow
BACKBONE = "mobilenetv3_small_050"
FEW = 24


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any]) -> Any:
    """The command beside an image folder, a few images of Scenes in its cache, and a backbone with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("labels")
    write_squares(folder / "squares")
    write_splits(cache_root(folder / "cache"), ["train", "val", "test", "novel"], processes=1, limit=FEW)
    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), folder / "backbone.safetensors")
    return bench_in(folder)


def run(bench: Any, task: str, model: str, *more: object) -> Any:
    quick = ("--set", "measure.runs=2", "--set", "measure.warmups=1", "--set", "evaluate.resamples=40")
    vision = ("--vision", BACKBONE, "--vision-weights", "backbone.safetensors", "--vision-args", "size=32")
    done = bench(
        "run", "--task", task, "--model", model, "--profile", "smoke", "--device", "cpu", *vision, *quick, *more
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def rows(bench: Any, task: str, results: str) -> dict[str, Any]:
    shown = bench("leaderboard", "--task", task, "--results", results, "--format", "json")
    return {row["model"]: row for row in json.loads(shown.stdout)}


def test_track_context_shows_slices_ceilings_and_the_interaction(bench: Any) -> None:
    done = run(
        bench, "image-classification", "probe,film", "--data", "scenes", "--scenes-track", "context",
        "--results", "context", "--set", "train.gate_steps=2", "--limit", "40",
    )  # fmt: skip
    found = rows(bench, "image-classification", "context")
    scenes = json.loads(layout.annotation_file(cache_root(bench.folder / "cache"), "scenes", "test").read_text())
    asked = [row for row in scenes["images"] if row["target"] is not None][:10]  # 40 questions
    cells = context_cells("test", asked)
    for model in ("probe", "film"):
        row = found[model]
        assert (row["status"], row["learnable"], row["split"]) == ("ok", False, "test")
        assert row["metrics"]["top-1"]["count"] == 40
        for (light, condition), cell in cells.items():
            name = f"top-1[{light} {condition}]"
            assert (row["metrics"].get(name) or {}).get("count", 1) == cell.images, "a slice of one has no score"
            assert row["ceilings"][name] == {k: float(getattr(cell, k)) for k in ("vision", "text", "both")}
    assert {"EMAP top-1", "interaction"} <= set(found["film"]["metrics"])
    assert not {"EMAP top-1", "interaction"} & set(found["probe"]["metrics"])
    assert found["film"]["metrics"]["interaction"]["count"] == 8
    slices, table = done.stdout.split("\n\n")[1:3]
    assert slices.splitlines()[0].startswith("top-1 ↑ by slice") and "ceiling: both" in slices
    assert any(line.startswith("model") for line in table.splitlines()[:3]) and "ceiling: vision" in table
    assert done.stdout.count("not learnable here (it cannot fit 32 samples): no verdict") == 2


def test_zero_shot_on_scenes(bench: Any) -> None:
    run(
        bench, "zero-shot-classification", "class-embedding,vision-only", "--data", "scenes", "--lexicon", "definition",
        "--results", "zero",
    )  # fmt: skip
    found = rows(bench, "zero-shot-classification", "zero")
    for model in ("class-embedding", "vision-only"):
        metrics = found[model]["metrics"]
        assert {"unseen-top-1", "S", "U", "H", "AUSUC", "top-1"} <= set(metrics)
        assert found[model]["split"] == "open"
        assert 0 < metrics["unseen-top-1"]["count"] < metrics["top-1"]["count"] == min(48, metrics["top-1"]["count"])
        assert found[model]["ceilings"]["unseen-top-1"]["both"] == float(zero_shot_ceiling("definition").both)


def test_an_image_folder_is_learned(bench: Any) -> None:
    """Plain colours: even a backbone with random weights tells them apart."""
    run(
        bench, "image-classification", "fine-tuned", "--data", "squares", "--results", "squares",
        "--set", "train.steps=30", "--set", "train.gate_steps=60", "--set", "train.vision_learning_rate=1e-3",
    )  # fmt: skip
    row = rows(bench, "image-classification", "squares")["fine-tuned"]
    assert (row["data"], row["split"], row["ceilings"]) == ("squares", "test", {})
    assert row["metrics"]["top-1"]["value"] > 1 / 2, "chance is one in six"
    assert row["metrics"]["top-1"]["count"] == 24
    assert row["learnable"] is True


def test_the_selection_split_is_not_reported(bench: Any) -> None:
    refused = bench("run", "--task", "image-classification", "--model", "probe", "--data", "scenes", "--split", "val")
    assert refused.returncode == 2
    assert "The split val of scenes:plain selects checkpoints: its score would be too high" in refused.stderr
