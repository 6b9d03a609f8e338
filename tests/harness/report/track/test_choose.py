"""What keeps a tracker from working is said before anything is trained, with the remedy."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.plan.track_names import TRACKERS
from harness.report.track.choose import open_trackers, without_secrets


@pytest.mark.parametrize("name", TRACKERS)
def test_an_extra_that_is_not_installed_is_named_with_its_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(UsageError) as caught:
        open_trackers([name], tmp_path, {})
    assert f"uv sync --extra {name}" in str(caught.value)
    assert f"pip install 'fusemark[{name}]'" in str(caught.value)


def test_an_unknown_tracker_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'mlflow'"):
        open_trackers(["mlfow"], tmp_path, {})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "remedy"), [("tensorboard", "folder"), ("mlflow", "MLFLOW_TRACKING_URI")])
def test_results_at_a_url_need_another_place(name: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        open_trackers([name], None, {})


@pytest.mark.usefixtures("installed")
def test_mlflow_goes_where_its_variables_say() -> None:
    environment = {"MLFLOW_TRACKING_URI": "https://me:secret@host:5000", "MLFLOW_EXPERIMENT_NAME": "mine"}
    (tracker,) = open_trackers(["mlflow"], None, environment)
    opened: Any = tracker
    assert (opened.uri, opened.experiment, opened.artifacts) == ("https://me:secret@host:5000", "mine", None)
    assert "secret" not in tracker.destination + tracker.where
    assert "host:5000" in tracker.where


@pytest.mark.usefixtures("installed")
def test_telemetry_is_off_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    open_trackers(["mlflow"], tmp_path, environment)
    assert environment == {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
    chosen = {"MLFLOW_DISABLE_TELEMETRY": "false", "WANDB_ERROR_REPORTING": "true"}
    open_trackers(["mlflow"], tmp_path, chosen)
    assert chosen == {"MLFLOW_DISABLE_TELEMETRY": "false", "WANDB_ERROR_REPORTING": "true"}


def test_without_trackers_nothing_is_touched(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    assert open_trackers([], tmp_path, environment) == () and environment == {}


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:secret@host:5000/x", "https://host:5000/x"),
        ("http://host", "http://host"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("databricks", "databricks"),
    ],
)
def test_secrets_are_not_shown(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown


@pytest.mark.slow
def test_mlflow_calls_nobody_in_a_process_that_is_no_test(tmp_path: Path, nobody_calls: str) -> None:
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    source = (
        "import os; from pathlib import Path; from harness.report.track.choose import open_trackers;"
        "from harness.report.track.tracker import TrackedRun;"
        f"(t,) = open_trackers(['mlflow'], Path({str(tmp_path)!r}), os.environ);"
        "t.start(TrackedRun('a/b/seed0', 'k', 'a', {})).finish(ok=True)"
    )
    # Under pytest and in CI MLflow is silent by itself, so these signs are taken away.
    hidden = ("CI", "GITHUB_ACTIONS", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_TRACKING_URI")
    own = {k: v for k, v in os.environ.items() if k not in hidden and not k.startswith(("PYTEST_", "PYTHONW"))}
    subprocess.run([sys.executable, "-c", source], env=own, check=True, timeout=120, capture_output=True)
    assert (tmp_path / "mlflow.db").is_file()
