"""`bench check`: from a baseline's folder and a results folder to the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.judge.check.baseline import BaselineError, baseline_size, read_baseline, write_baseline
from harness.judge.check.change import Limits
from harness.judge.check.cost_change import is_crowded
from harness.judge.check.gate import Gate, run_gate
from harness.judge.check.measured import Measured, MeasuredSubject, read_measured, settings_left_out
from harness.measure.provenance import provenance
from harness.plan.plugins import load_all
from harness.records.conflicts import in_conflict
from harness.records.store import Store


def check_results(baseline: Path, results: str, tasks: Sequence[str] | None, limits: Limits) -> Gate:
    """Compare a results folder with a baseline, in the named tasks or all; raises BaselineError, StoreError."""
    rows = read_baseline(baseline)
    known = sorted({row.subject.task for row in rows})
    unknown = [task for task in tasks or () if task not in known]
    if unknown or not rows:
        raise BaselineError(
            f"{baseline} has no rows of {', '.join(unknown) or 'any task'}. It has: {', '.join(known) or 'none'}."
        )
    wanted = [row for row in rows if tasks is None or row.subject.task in tasks]
    settings = {row.subject: row.setting for row in wanted}
    measured, conflicts = _measured(results, tasks, settings), in_conflict(Store(results))
    made = dict.fromkeys(f"{row.subject.label}@{row.seed}" for row in measured if row.fingerprint in conflicts)
    return replace(run_gate(wanted, measured, limits), conflicts=tuple(made))


def update_baseline(baseline: Path, results: str, tasks: Sequence[str] | None) -> str:
    """Write a baseline from a results folder; returns what was done. Of some tasks only, the others' rows stay."""
    measured = _measured(results, tasks)
    rows = [row for row in measured if row.score is not None]
    found = {row.subject.task for row in rows}
    absent = [task for task in tasks or () if task not in found]
    if absent:
        raise BaselineError(f"{results} has no scored record of {', '.join(absent)}. Run 'bench run' first.")
    kept = [] if tasks is None or not baseline.exists() else read_baseline(baseline)
    kept = [row for row in kept if row.subject.task not in found]
    write_baseline(baseline, [*kept, *rows], provenance())
    crowded = sum(row.latency is not None and is_crowded(row.latency) for row in rows)
    warning = (
        f" {crowded} of them were timed while others kept the machine busy: their latency will be inconclusive."
        if crowded
        else ""
    )
    left = settings_left_out([r for r in Store(results).read_records() if tasks is None or r.task in tasks])
    warning += f" Of several settings of a model the newest is in it; left out: {'; '.join(left)}." if left else ""
    unscored = [f"{row.subject.task}, {row.subject.label}, seed {row.seed}" for row in measured if row.score is None]
    warning += f" Left out for want of a score: {'; '.join(unscored)}." if unscored else ""
    size = baseline_size(baseline) / 1e3
    return f"Wrote {baseline} ({len(kept) + len(rows)} cells, {size:.0f} kB). Commit it.{warning}"


def _measured(
    results: str, tasks: Sequence[str] | None, settings: Mapping[MeasuredSubject, str | None] | None = None
) -> list[Measured]:
    installed, _ = load_all("tasks")
    return read_measured(Store(results), {task.name: task.metrics for task in installed}, tasks, settings)
