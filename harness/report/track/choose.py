"""Opens the trackers that a run names, before anything is trained."""

from __future__ import annotations

import importlib.util
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import UsageError, nearest
from harness.plan.track_names import TRACKERS
from harness.report.track.mlflow_log import Mlflow
from harness.report.track.tensorboard_log import TensorBoard
from harness.report.track.tracker import Tracker
from harness.report.track.wandb_log import Wandb, require_login

_PROJECT = "fusemark"
_NEEDS = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic"), "wandb": ("wandb",)}
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
"""Both libraries report their use to their makers unless told not to; who wants that can set these variables."""


def open_trackers(
    names: Sequence[str], results: Path | None, environment: MutableMapping[str, str]
) -> tuple[Tracker, ...]:
    """Open trackers by name; `results` is the local results folder, None when it is a URL.

    `environment` is that of the process: it says where MLflow and W&B log, and has their telemetry switched off in it
    where it does not say. Raises UsageError for an extra that is not installed, a place that does not do, or W&B
    without a login.
    """
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--log {name}: unknown tracker. {nearest(name, TRACKERS)}")
        _require_installed(name)
    if names:
        for variable, value in _QUIET.items():
            environment.setdefault(variable, value)
    return tuple(_open(name, results, environment) for name in dict.fromkeys(names))


def _require_installed(name: str) -> None:
    missing = [module for module in _NEEDS[name] if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"--log {name} needs {', '.join(missing)}, which is not installed. Get it with 'uv sync --extra {name}' "
            f"or pip install 'fusemark[{name}]', or leave --log {name} out."
        )


def _open(name: str, results: Path | None, environment: MutableMapping[str, str]) -> Tracker:
    if name == "tensorboard":
        return TensorBoard(_local(name, results) / "tensorboard")
    if name == "mlflow":
        return _open_mlflow(results, environment)
    return _open_wandb(results, environment)


def _open_mlflow(results: Path | None, environment: MutableMapping[str, str]) -> Mlflow:
    experiment = environment.get("MLFLOW_EXPERIMENT_NAME") or _PROJECT
    uri = environment.get("MLFLOW_TRACKING_URI")
    if uri:
        return Mlflow(uri, experiment, None, f"{without_secrets(uri)} {experiment}")
    folder = _local("mlflow", results, " or set MLFLOW_TRACKING_URI")
    database = f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}"
    return Mlflow(database, experiment, folder / "mlflow-artifacts", f"mlflow.db {experiment}")


def _open_wandb(results: Path | None, environment: MutableMapping[str, str]) -> Wandb:
    require_login()
    project = environment.get("WANDB_PROJECT") or _PROJECT
    server = without_secrets(environment.get("WANDB_BASE_URL") or "wandb")
    own = environment.get("WANDB_DIR")
    folder = None if own else results
    runs = Path(own) if own else folder or Path()
    where = f"project {project}; offline runs: wandb sync {runs / 'wandb'}/offline-run-*"
    return Wandb(project, folder, "/".join((server, environment.get("WANDB_ENTITY") or "", project)), where)


def _local(name: str, results: Path | None, else_: str = "") -> Path:
    if results is None:
        raise UsageError(f"--log {name} writes to a local folder, and --results is a URL. Give a folder{else_}.")
    return results


def without_secrets(uri: str) -> str:
    """Take user and password out of a URI.

    >>> without_secrets("https://me:secret@host:5000/path")
    'https://host:5000/path'
    """
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else uri
