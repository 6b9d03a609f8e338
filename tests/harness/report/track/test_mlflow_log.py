"""A local SQLite store is read back with MLflow's own client."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.report.track.choose import open_trackers
from harness.report.track.feed import track_task
from harness.report.track.mlflow_log import allowed

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
pytest.importorskip("sqlalchemy", reason="the extra 'mlflow' is not installed")

# MLflow 3.17 uses what SQLAlchemy 2.1 calls deprecated; neither is ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, nobody_calls: str) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("quiet")
def test_curves_scores_settings_table_and_files_are_read_back(results: Any, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tracker,) = open_trackers(["mlflow"], results.folder, dict(os.environ))
    (summary,) = track_task(results.plan, [tracker], results.store, results.options, pytest.fail)
    assert (summary.logged, summary.found, summary.error) == (3, 0, None)
    client = MlflowClient(f"sqlite:///{results.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fusemark")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"a-task/a-model/seed0", "a-task/b-model[C1]/seed1", "a-task/leaderboard"}

    run = runs["a-task/a-model/seed0"]
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(5, 0.75), (10, 0.5)]
    assert run.data.metrics["score/main"] == 0.5
    assert run.data.metrics["score/main/night honest/low"] == 0.1
    assert run.data.metrics["cost/parameters_total"] == 7
    assert run.data.params["fingerprint"] == results.trained.fingerprint
    assert run.data.tags["model"] == "a-model"
    assert run.info.status == "FINISHED"
    kept = client.download_artifacts(run.info.run_id, f"{results.trained.fingerprint}.json", str(tmp_path))
    assert json.loads(Path(kept).read_text())["model"] == "a-model"

    assert runs["a-task/b-model[C1]/seed1"].info.status == "FAILED"
    assert runs["a-task/b-model[C1]/seed1"].data.params["error"] == "it broke"

    board = runs["a-task/leaderboard"].info.run_id
    table = json.loads(Path(client.download_artifacts(board, "leaderboard.json", str(tmp_path))).read_text())
    assert [row[0] for row in table["data"]] == ["a-model", "b-model", "c-model"]
    assert "<html" in Path(client.download_artifacts(board, "report.html", str(tmp_path))).read_text()
    assert json.loads(runs["a-task/leaderboard"].data.tags["mlflow.loggedArtifacts"])[0]["path"] == "leaderboard.json"
    assert (results.folder / "mlflow-artifacts").is_dir()
    assert not Path("mlruns").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/loss", "train/loss"),
        ("score/AP:person", "score/AP:person"),
        ("score/top-1[a=b c]", "score/top-1/a_b c"),
        ("/x/", "x"),
    ],
)
def test_names_are_made_such_as_mlflow_takes(name: str, expected: str) -> None:
    assert allowed(name) == expected
