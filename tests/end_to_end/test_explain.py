"""`bench run --explain`: a record a model, the table, the verdict; the same again, more methods added, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

pytestmark = pytest.mark.slow
BACKBONE, TASK = "mobilenetv3_small_050", "image-classification"
ARGUMENTS = (
    "run", "--task", TASK, "--scenes-track", "context", "--profile", "smoke", "--device", "cpu", "--data", "scenes",
    "--vision", BACKBONE, "--vision-weights", "backbone.safetensors", "--vision-args", "size=32", "--no-measure",
    "--set", "train.steps=2", "--set", "evaluate.resamples=40", "--set", "evaluate.emap=0", "--limit", "24",
    "--set", "explain.limit=4", "--set", "explain.grid=2", "--set", "explain.draws=2", "--set", "explain.points=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any]) -> Any:
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("explain")
    write_splits(cache_root(folder / "cache"), ["train", "val", "test"], processes=1, limit=24)
    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), folder / "backbone.safetensors")
    bench = bench_in(folder)
    done = bench(*ARGUMENTS, "--model", "film,probe", "--explain", "occlusion,grad-cam")
    assert done.returncode == 0, done.stderr
    assert "Explanations: 2 ok (0 found done), 0 failed" in done.stdout
    return bench


def records(bench: Any) -> dict[str, dict[str, Any]]:
    paths = (bench.folder / "results" / "local" / TASK / "explanations").glob("*.json")
    return {record["model"]: record for record in (json.loads(path.read_text()) for path in paths)}


def test_records_hold_all_maps_or_say_why_not(explained: Any) -> None:
    found = records(explained)
    scores = {(s["name"], s["modality"]): s for s in found["film"]["scores"]}
    for name in ("occlusion", "occlusion@random-weights", "random", "centre", "edges", "grad-cam"):
        assert {"pointing", "mass", "insertion", "deletion"} <= scores[name, "image"]["metrics"].keys()
    assert "mass" in scores["occlusion", "text"]["metrics"]
    assert scores["grad-cam", "text"]["error"] == "grad-cam explains images alone"
    assert -2 <= scores["model", "image+text"]["metrics"]["interaction"]["value"] <= 2
    plain = {(s["name"], s["modality"]): s for s in found["probe"]["scores"]}
    assert plain["occlusion", "text"]["error"] == "the model reads no text"


def test_done_is_found_and_more_methods_are_added_alike(explained: Any) -> None:
    before = records(explained)["film"]
    again = explained(*ARGUMENTS, "--model", "film", "--explain", "occlusion")
    assert "Explanations: 1 ok (1 found done), 0 failed" in again.stdout
    assert records(explained)["film"] == before
    more = explained(*ARGUMENTS, "--model", "film", "--explain", "integrated-gradients")
    assert "Explanations: 1 ok (0 found done), 0 failed" in more.stdout, more.stderr
    after = records(explained)["film"]
    assert after["methods"] == ["occlusion", "grad-cam", "integrated-gradients"]
    kept = {(s["name"], s["modality"]): s["metrics"] for s in after["scores"]}
    for score in before["scores"]:
        again_found = kept[score["name"], score["modality"]]
        assert again_found.keys() == score["metrics"].keys()
        for name, metric in score["metrics"].items():  # answers may differ in their last digits from job to job
            assert again_found[name] == pytest.approx(metric, abs=1e-4), (score["name"], name)
    by_gradient = {"integrated-gradients", "integrated-gradients@random-weights"}
    assert by_gradient <= {name for name, modality in kept if modality == "text" and "mass" in kept[name, modality]}


def test_table_verdict_and_refusals(explained: Any) -> None:
    told = explained("explanations", "--task", TASK)
    assert told.returncode == 0 and "(edges)" in told.stdout and "shuffled" in told.stdout
    rows = json.loads(explained("explanations", "--format", "json").stdout)
    assert {(row["model"], row["kind"]) for row in rows} >= {("film", "method"), ("film", "random-weights")}
    verdicts = json.loads(explained("verdict", "--claim", "explanations", "--format", "json").stdout)
    assert [(v["model"], v["outcome"], v["reason"]) for v in verdicts] == [("film", "inconclusive", "1 of 5 seeds")]
    assert explained("report", "--out", "page.html").returncode == 0
    page = (explained.folder / "page.html").read_text(encoding="utf-8")
    assert "Maps of film, seed 0" in page and page.count("data:image/jpeg;base64,") >= 15 and 'class="words"' in page
    wrong = explained(*ARGUMENTS, "--explain", "gradcam")
    assert wrong.returncode == 2 and "Did you mean 'grad-cam'" in wrong.stderr
