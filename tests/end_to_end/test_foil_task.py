"""A third party's task of candidate texts, on data with a test split alone: run, scored, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 50, 230)}


@pytest.fixture(scope="module")
def foils(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine images of three colours with a true caption and two foils; of the last, none is true."""
    root = tmp_path_factory.mktemp("foils") / "colours"
    root.mkdir()
    rows = []
    for number in range(9):
        colour = list(COLOURS)[number % 3]
        Image.new("RGB", (20, 20), COLOURS[colour]).save(root / f"{number}.png")
        others = [other for other in COLOURS if other != colour]
        texts = [f"a {others[0]} wall", f"a {colour} wall", f"a {others[1]} wall"]
        rows.append({"id": str(number), "image": f"{number}.png", "texts": texts, "choice": 2 if number == 8 else 1})
    (root / "foils.json").write_text(json.dumps(rows))
    return root


def test_a_model_without_parameters_runs_on_a_test_split_alone(bench: Any, foils: Path, tmp_path: Path) -> None:
    command = ("run", "--task", "caption-foil", "--model", "all", "--data", foils, "--device", "cpu", "--no-measure")
    command += ("--perturb", "contrast:1", "--perturb-scale", "cifar")
    run = bench(*command, "--results", tmp_path / "results", HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "hub"))
    assert run.returncode == 0, run.stderr
    assert "Evaluated on all 9 samples of test." in run.stderr
    assert "Conditions: 2 ok, 0 failed, 0 skipped" in run.stdout
    assert "not measured: latency, throughput and memory (--no-measure)" in " ".join(run.stdout.split())
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("caption-foil/records/*.json")]
    (mine,) = [record for record in records if record["status"] == "ok"]
    assert mine["model"] == "colour-word"
    assert mine["metrics"]["foil-accuracy"]["value"] == pytest.approx(8 / 9)
    assert mine["provenance"]["samples"] == {"evaluated": 9, "of": 9}
    costs = mine["efficiency"]
    assert (costs["parameters_total"], costs["parameters_trainable"], costs["flops"]) == (3, 0, None)
    assert (costs["latency_p50_seconds"], costs["peak_memory_bytes"], costs["train_seconds"]) == (None, None, None)
    assert "gate_score" not in mine["provenance"]["training"]
    assert {record["status"] for record in records if record["model"] != "colour-word"} <= {"skipped"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows, "0.1111"),
        (lambda rows: rows[:-2], "2 are missing (first: 7, 8)"),
        (lambda rows: [*rows, rows[0]], "1 are there more than once (first: 0)"),
        (
            lambda rows: [*rows, {"id": "x", "scores": [1, 0, 0]}],
            "1 are for samples that the split does not have (first: x)",
        ),
    ],
)
def test_answers_that_do_not_fit_are_the_harnesss_business(
    change: Any, message: str, bench: Any, foils: Path, tmp_path: Path
) -> None:
    rows = [{"id": str(n), "scores": [0, 0, 1] if n > 5 else [1, 0, 0]} for n in range(9)]
    (tmp_path / "p.json").write_text(json.dumps(change(rows)))
    run = bench("score", "--task", "caption-foil", "--data", foils, "--predictions", tmp_path / "p.json")
    if message == "0.1111":
        assert run.returncode == 0 and message in run.stdout
    else:
        assert run.returncode == 2 and message in run.stderr
