"""Records, training logs and leaderboard rows -> what trackers take: flat settings, points, numbers, tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.judge.leaderboard import Row
from harness.record import RunRecord
from harness.report.leaderboard_tables import FUSION_HELPS, leaderboard_table
from harness.report.tables.table import unique
from harness.report.track.tracker import LoggedValue, TrackedRun

LoggedCurves = Mapping[int, Mapping[str, float]]
"""What was logged at each training step, by name."""

_COSTS = (
    "latency_p50_seconds", "latency_p95_seconds", "throughput_per_second", "peak_memory_bytes", "parameters_total",
    "parameters_trainable", "flops", "train_seconds", "memory_added_bytes", "energy_joules",
)  # fmt: skip
_FIRST = ("model", "control", "setting", "status", "rank", "verdict", "seeds")


def cell_run(record: RunRecord, warnings: Sequence[str]) -> TrackedRun:
    """Name the run of a cell and gather what it was made with."""
    control = f"[{record.control}]" if record.control else ""
    own = {
        name: getattr(record, name)
        for name in (
            "fingerprint", "task", "data", "data_digest", "split", "model", "control", "seed", "status", "error",
            "signature", "device", "created",
        )
    }  # fmt: skip
    config = {**own, **flat({"cell": record.cell, "provenance": record.provenance})}
    if warnings:
        config["training_warnings"] = "; ".join(warnings)
    name = f"{record.task}/{record.model}{control}/seed{record.seed}"
    return TrackedRun(name, record.fingerprint, record.task, config)


def read_curves(log: bytes) -> tuple[LoggedCurves, tuple[str, ...]]:
    """Read a training's log.jsonl: numbers by step, and the warnings that stand between them; each trial for itself."""
    points: dict[int, dict[str, float]] = {}
    warnings: list[str] = []
    for line in log.decode().splitlines():
        entry = json.loads(line)
        step, trial = entry.pop("step"), entry.pop("trial", None)
        place = "train" if trial is None else f"trial-{trial}"
        if "warning" in entry:
            of_trial = "" if trial is None else f"trial {trial}, "
            warnings.append(f"{of_trial}step {step}: {entry['warning']}")
        numbers = {f"{place}/{name}": float(value) for name, value in entry.items() if _is_number(value)}
        if numbers:
            points.setdefault(step, {}).update(numbers)
    return dict(sorted(points.items())), tuple(warnings)


def final_values(record: RunRecord) -> dict[str, float]:
    """Give every score with its interval and every cost that was measured; what is absent is left out, never a 0."""
    values: dict[str, float] = {}
    for name, estimate in record.metrics.items():
        if estimate is not None:
            values[f"score/{name}"] = estimate.value
            if estimate.interval is not None:
                values |= dict(zip((f"score/{name}/low", f"score/{name}/high"), estimate.interval, strict=True))
    costs = {name: getattr(record.efficiency, name) for name in _COSTS}
    return values | {f"cost/{name}": float(value) for name, value in costs.items() if value is not None}


def tracked_table(tables: Iterable[Sequence[Row]], metrics: Sequence[str]) -> tuple[list[str], list[list[LoggedValue]]]:
    """Make one table of a task's rows: ranks, marks, scores with bounds, and costs; single classes are left out."""
    whole = [leaderboard_table(rows, metrics) for rows in tables]
    every = unique(name for table in whole for name in table.names())
    names = unique([*_FIRST, *(name for name in every if ":" not in name)])
    header = [FUSION_HELPS if name == "verdict" else name for name in names]
    return header, [[record.get(name) for name in names] for table in whole for record in table.records()]


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lay nested mappings flat, with dots between the keys; lists become JSON.

    >>> flat({"a": {"b": 1, "c": {}}, "d": [1, 2]})
    {'a.b': 1, 'd': '[1, 2]'}
    """
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            found[name] = json.dumps(value, default=str)
        else:
            found[name] = value
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
