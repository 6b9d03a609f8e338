"""MLflow: the server that MLFLOW_TRACKING_URI names, else a SQLite file and a folder of artifacts in the results."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.track.tracker import LoggedValue, TrackedRun

_LONGEST_PARAMETER = 6000
"""Characters that MLflow takes of a parameter's value; the whole of it is in the record, which is kept as a file."""
_PARAMETERS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000


@dataclass(frozen=True)
class Mlflow:
    """Logs to a tracking store; `artifacts` is where files go when the store is our own SQLite file."""

    uri: str
    experiment: str
    artifacts: Path | None
    destination: str
    name: str = "mlflow"

    @property
    def where(self) -> str:
        """The command that shows them (the extra has no pages of its own), or the server."""
        if self.artifacts is None:
            return self.destination
        return f"uvx mlflow ui --backend-store-uri {self.uri}"

    def start(self, run: TrackedRun) -> MlflowLog:
        """Open a run in the experiment, which is made when it is not there."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        opened = client.create_run(self._experiment(client), run_name=run.name, tags=_tags(run))
        log = MlflowLog(client, opened.info.run_id)
        log.parameters(run.config)
        return log

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        # MLflow's own default is ./mlruns, wherever the command was started.
        location = None if self.artifacts is None else self.artifacts.resolve().as_uri()
        return str(client.create_experiment(self.experiment, artifact_location=location))


@dataclass(frozen=True)
class MlflowLog:
    """One run, by its own client: the library's active run is left alone."""

    client: Any
    run: str

    def parameters(self, config: Mapping[str, Any]) -> None:
        """Log what the run was made with."""
        from mlflow.entities import Param

        found = [Param(allowed(name), _shortened(str(value))) for name, value in config.items() if value is not None]
        for start in range(0, len(found), _PARAMETERS_AT_ONCE):
            self.client.log_batch(self.run, params=found[start : start + _PARAMETERS_AT_ONCE])

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics at a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(allowed(name), value, now, step) for name, value in values.items()]
        for start in range(0, len(found), _METRICS_AT_ONCE):
            self.client.log_batch(self.run, metrics=found[start : start + _METRICS_AT_ONCE])

    def summary(self, values: Mapping[str, float]) -> None:
        """Log metrics at step 0."""
        self.curve(0, values)

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[LoggedValue]]) -> None:
        """Log a table as `NAME.json`, as MLflow's `load_table` reads it; its `log_table` would need pandas."""
        content = {"columns": list(header), "data": [list(row) for row in rows]}
        self.client.log_dict(self.run, content, f"{name}.json")
        self.client.set_tag(self.run, "mlflow.loggedArtifacts", json.dumps([{"path": f"{name}.json", "type": "table"}]))

    def file(self, path: Path) -> None:
        """Log an artifact."""
        self.client.log_artifact(self.run, str(path))

    def finish(self, *, ok: bool) -> None:
        """End the run as FINISHED or FAILED."""
        self.client.set_terminated(self.run, "FINISHED" if ok else "FAILED")


def allowed(name: str) -> str:
    """Keep the characters that MLflow takes in names; a slice becomes a part of its metric.

    >>> allowed("score/top-1[night honest]/low")
    'score/top-1/night honest/low'
    """
    return re.sub(r"[^\w\-./: ]", "_", name.replace("[", "/").replace("]", "")).strip("/ ")


def _tags(run: TrackedRun) -> dict[str, str]:
    kept = {name: str(run.config[name]) for name in ("task", "model", "control", "seed") if run.config.get(name)}
    return {**kept, "fusemark.key": run.key}


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_PARAMETER:
        return text
    note = " … (whole in the record)"
    return text[: _LONGEST_PARAMETER - len(note)] + note
