"""Gives each row of the leaderboard an id, and its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import PluginError, UsageError
from harness.judge.judged_leaderboard import judged_tables
from harness.judge.leaderboard import Row
from harness.record import RunRecord
from harness.report.page.sources import ReportOptions, Sources


@dataclass(frozen=True)
class Entry:
    """A row of a leaderboard under a short id, with the records that it was made of, a seed each."""

    key: str
    row: Row
    records: tuple[RunRecord, ...]

    @property
    def name(self) -> str:
        """Model and control."""
        return self.row.name

    @property
    def scored(self) -> bool:
        """Tell whether there is anything to rank; failed and skipped cells have a table of their own."""
        return bool(self.row.metrics)


@dataclass(frozen=True)
class Board:
    """Rows that may be ranked together: the same data, split and scoring. `metrics` are the task's, in their order."""

    task: str
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]
    ordered: bool = True
    """False where the task's plugin is not installed, so that nobody says which metric ranks."""

    @property
    def main(self) -> str:
        """The metric that ranks here: the first of the task's that this data has."""
        present = {name for e in self.entries for name, estimate in e.row.metrics.items() if estimate is not None}
        return next((name for name in self.metrics if name in present), self.metrics[0] if self.metrics else "")

    @property
    def first(self) -> Row:
        """A row that says what data and split all rows share."""
        return self.entries[0].row

    @property
    def on_scenes(self) -> bool:
        """Tell whether the data is the rendered world."""
        data = [record.cell.get("training", {}).get("data", {}) for e in self.entries for record in e.records]
        return any(content.get("layout") == "scenes" for content in data)


def build_boards(sources: Sources, options: ReportOptions) -> list[Board]:
    """Group records by task, then into rows that can be compared; tasks in the order of their names."""
    records = sources.records
    by_fingerprint = {record.fingerprint: record for record in records}
    boards = []
    number = 0
    for task in sorted({record.task for record in records}):
        mine = [record for record in records if record.task == task]
        metrics, ordered = _metrics_of(task, mine, options)
        sweeps = [sweep for sweep in sources.sweeps if sweep.task == task]
        fusion, conflicts = options.fusion(task), sources.conflicts
        for rows in judged_tables(mine, metrics, fusion, sources.sample_scores, sweeps, conflicts=conflicts):
            entries = []
            for row in rows:
                number += 1
                entries.append(Entry(f"r{number}", row, tuple(by_fingerprint[name] for name in row.fingerprints)))
            boards.append(Board(task, metrics, tuple(entries), ordered))
    return boards


def _metrics_of(task: str, records: Sequence[RunRecord], options: ReportOptions) -> tuple[tuple[str, ...], bool]:
    """Take the order that was given, else the plugin's, else that of the alphabet, which ranks nothing."""
    if task in options.metrics:
        return tuple(options.metrics[task]), True
    from harness.plan.plugins import load_task

    try:
        return tuple(load_task(task).metrics), True
    except (UsageError, PluginError):
        names = sorted({name for r in records for name in r.metrics if ":" not in name and "[" not in name})
        return tuple(names), False
