"""Made-up runs for the gate: what is known of a model, its record in a results folder, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.errors import BenchError
from harness.judge.check.measured import Latency, Measured, MeasuredSubject
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.records.table_names import scores_name
from harness.stats.sample_scores import SampleScores

TASK, METRIC = "image-classification", "top-1"
RIGHT = [1, 0] * 100


WORSE = [0, 0] * 40 + [1, 0] * 60
QUIET = tuple(2.0 * (1 + 0.002 * n) for n in (-3, 1, 0, 2, -1, 3, -2, 0, 1, -1))


def table_of(values: Sequence[float], ids: Sequence[str] | None = None) -> SampleScores:
    """Contributions of samples to top-1, each sample a cluster."""
    names = tuple(ids or (f"s{n}" for n in range(len(values))))
    return SampleScores(names, names, {METRIC: np.asarray(values, dtype=float)})


@pytest.fixture
def table() -> Callable[..., SampleScores]:
    """Make sample scores: `table(values, ids=None)`."""
    return table_of


@pytest.fixture
def measured() -> Callable[..., Measured]:
    """Make what is known of a seed of a model: `measured(model, values, **fields)`; values by condition or clean."""

    def make(model: str = "a", values: Any = (1, 0, 1, 1), control: str = "", **fields: Any) -> Measured:
        parts = values if isinstance(values, Mapping) else {"": values}
        clean = np.asarray(parts[""], dtype=float)
        seed = fields.pop("seed", 0)
        made = Measured(
            subject=MeasuredSubject(TASK, "tiny", "test", model, control),
            seed=seed,
            fingerprint=f"{model}-{control}-{seed}",
            status="ok",
            data_digest="d1",
            signature="top-1:1",
            machine="a machine",
            metric=METRIC,
            score=Estimate(float(clean.mean()), float(clean.mean()) - 0.1, float(clean.mean()) + 0.1, len(clean)),
            latency=Latency(2.0, QUIET, 1),
            memory_bytes=600 * 2**20,
            conditions={label: "ok" for label in parts if label},
            scores={label: table_of(own) for label, own in parts.items()},
        )
        return replace(made, **fields)

    return make


@dataclass(frozen=True)
class Run:
    """A results folder that a test fills."""

    folder: Path

    def add(self, model: str = "a", values: Any = (1, 0, 1, 1), **fields: Any) -> RunRecord:
        """Store a record with its sample scores and conditions, as a run does; returns it."""
        parts = values if isinstance(values, Mapping) else {"": values}
        score, seed = float(np.mean(parts[""])), fields.pop("seed", 0)
        ratio, memory = fields.pop("ratio", 2.0), fields.pop("memory", 600 * 2**20)
        notes = fields.pop("notes", {})
        if ratio is not None:
            blocks = [block * ratio / 2 for block in QUIET]
            notes = {
                "calibrated_latency": {"version": fields.pop("version", 1), "ratio": ratio, "blocks": blocks},
                **notes,
            }
        made = RunRecord(
            fingerprint=fields.pop("fingerprint", f"{model}-{seed}".replace("/", "-")), task=TASK, data="tiny",
            data_digest="d1", split="test", model=model, control=None, seed=seed, status="ok", error=None,
            metrics={METRIC: Estimate(score, score - 0.1, score + 0.1, len(parts[""]))}, signature="top-1:1",
            efficiency=Efficiency(peak_memory_bytes=memory, notes=notes), device="a machine", provenance={},
            cell=_cell(seed, fields.pop("steps", 1), fields.pop("code", ""), fields.pop("tune", None)),
            created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        made = replace(made, **fields)
        if made.status != "ok":
            made = replace(made, metrics={}, signature=None, efficiency=Efficiency())
        store = Store(str(self.folder))
        store.write_record(made)
        if made.status == "ok":
            store.write_sample_scores(scores_name(TASK, made.fingerprint), table_of(parts[""]))
            self._perturb(store, made, {label: own for label, own in parts.items() if label})
        return made

    def _perturb(self, store: Store, made: RunRecord, parts: Mapping[str, Any]) -> None:
        scores = []
        for label, own in parts.items():
            name, severity = label.rsplit("-", 1)
            status = "ok" if not isinstance(own, str) else own
            scores.append(PerturbedScore("f", name, int(severity), "weather", "image", status))
            if status == "ok":
                store.write_sample_scores(scores_name(TASK, made.fingerprint, label), table_of(own))
        if scores:
            store.write_robustness(
                RobustnessRecord(
                    fingerprint=made.fingerprint, task=TASK, data="tiny", data_digest=made.data_digest, split="test",
                    model=made.model, control=None, seed=made.seed, metric=METRIC, signature="s", chance=0.0,
                    limit=None, shortest_px=224, device="a machine", scores=tuple(scores), provenance={}, created="",
                )
            )  # fmt: skip


@pytest.fixture
def run_in(tmp_path: Path) -> Callable[[str], Run]:
    """Name a results folder: `run_in("now").add(model, values, **fields)`."""
    return lambda name: Run(tmp_path / name)


@dataclass(frozen=True)
class Checked:
    """How `bench check` ended: its exit code and everything it said."""

    code: int
    text: str

    @property
    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows of `--format json` by model and kind; a missing one under `KIND missing`."""
        rows = json.loads(self.text)["rows"]
        return {(row["label"], row["kind"] + (" missing" if row["missing"] else "")): row for row in rows}


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Checked]:
    """Run the command: `check("baseline", "results", *options)`, folders of the test; as text, or as JSON."""
    from harness.cli.main import app

    def run(baseline: str, results: str, *options: object) -> Checked:
        arguments = ["check", tmp_path / baseline, "--results", tmp_path / results, *options]
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(result.exception, BenchError):
            return Checked(result.exception.exit_code, str(result.exception))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Checked(result.exit_code, result.output)

    return run


def _cell(seed: int, steps: int, code: str, tune: str | None) -> dict[str, Any]:
    options = {} if tune is None else {"options": {"tune": tune}}
    return {"training": {"seed": seed, "steps": steps, "versions": {"model": code}, **options}}


@pytest.fixture
def baseline(run_in: Callable[[str], Run], check: Callable[..., Checked]) -> Callable[..., Checked]:
    """Write a baseline of models a and b: `baseline(values, **fields)`."""

    def write(values: Any = RIGHT, **fields: Any) -> Checked:
        for model in "ab":
            run_in("before").add(model, values, **fields)
        return check("base", "before", "--update")

    return write
