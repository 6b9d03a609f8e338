"""A metric and a perturbation of somebody outside, from the command line: nothing of the tool is edited for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from ..tasks.squares import COLOURS, NAMES, write_squares
from .test_outside_journeys import write_tower

pytestmark = pytest.mark.slow
DATA = ("--task", "image-classification", "--data", "squares")


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any], taken_whole: Path, extras: Path
) -> Any:
    """The command in a folder with squares and a tower that takes red for another colour; one run is done."""
    bench = bench_in(tmp_path_factory.mktemp("extras"))
    bench.environment.update(PYTHONPATH=f"{extras}:{taken_whole}", OMP_NUM_THREADS="1")
    write_squares(bench.folder / "squares")
    write_tower(bench.folder / "tower.safetensors", [*(COLOURS | {"red": (255, 0, 255)}).values()])
    done = bench(
        "run", *DATA, "--model", "tiny-resnet", "--set", "model.weights=tower.safetensors", "--no-measure",
        "--perturb", "posterize:1,posterize:4", "--set", "evaluate.resamples=40", "--device", "cpu", "--results", "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return bench


def told(bench: Any, *arguments: object) -> str:
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return str(done.stdout)


def record_of(bench: Any) -> tuple[dict[str, Any], Path]:
    (path,) = (bench.folder / "out").glob("*/records/*.json")
    return json.loads(path.read_text()), path


def kappa_of(outcomes: Path) -> float:
    """Cohen's kappa of stored predictions, by scikit-learn; a sample's id begins with its class."""
    stored = pd.read_parquet(outcomes)
    said = [int(np.argmax(json.loads(answer))) for answer in stored["prediction"]]
    true = [NAMES.index(sample.rpartition("/")[0].rpartition("/")[2]) for sample in stored["sample_id"]]
    return float(cohen_kappa_score(true, said))


def test_kappa_of_a_run_is_scikit_learns_with_an_interval_and_under_every_condition(bench: Any) -> None:
    record, path = record_of(bench)
    found = record["metrics"]["cohen-kappa"]
    assert found["value"] == pytest.approx(kappa_of(path.parents[1] / "outcomes" / f"{path.stem}.parquet"), abs=1e-12)
    assert found["low"] < found["value"] < 1
    (robustness,) = (bench.folder / "out").glob("*/robustness/*.json")
    scores = {s["perturbation"] + str(s["severity"]): s for s in json.loads(robustness.read_text())["scores"]}
    assert set(scores) == {"clean0", "posterize1", "posterize4"}
    assert scores["clean0"]["metrics"]["cohen-kappa"]["value"] == found["value"]
    assert scores["posterize4"]["metrics"]["cohen-kappa"]["value"] < 1


def test_tables_show_both(bench: Any) -> None:
    assert "cohen-kappa ↑" in told(bench, "leaderboard", "--task", "image-classification", "--wide", "--results", "out")
    summary = told(bench, "robustness", "--task", "image-classification", "--format", "md", "--results", "out")
    assert "mean over 2 cells of posterize ↑" in summary
    assert "posterize" in told(bench, "list", "perturbations")


def test_stored_predictions_are_scored_anew_and_files_too(bench: Any) -> None:
    assert "equal" in told(bench, "rescore", "--task", "image-classification", "--results", "out")
    record, path = record_of(bench)
    stored = pd.read_parquet(path.parents[1] / "outcomes" / f"{path.stem}.parquet")
    rows = [
        [sample, *json.loads(answer)] for sample, answer in zip(stored["sample_id"], stored["prediction"], strict=True)
    ]
    pd.DataFrame(rows, columns=["sample_id", *NAMES]).to_csv(bench.folder / "p.csv", index=False)
    scored = json.loads(told(bench, "score", *DATA, "--predictions", "p.csv", "--resamples", "40", "--format", "json"))
    assert scored["metrics"]["cohen-kappa"] == record["metrics"]["cohen-kappa"]
