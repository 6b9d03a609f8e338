"""Gathers everything that a report shows, as plain values: no HTML, no charts, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import StoreError
from harness.report.calibration_part import Diagram, calibration_table, diagrams
from harness.report.entries import Board, build_boards
from harness.report.examples import Examples, build_examples
from harness.report.ladder import Ladder, build_ladders, ladder_table
from harness.report.number_table import number_table
from harness.report.provenance import provenance
from harness.report.score_tables import class_table, failure_table, leaderboard_table, slice_table
from harness.report.sources import ReportOptions, Sources
from harness.report.sweep_tables import HeatMap, heat_maps, heat_table, summary_table
from harness.report.sweeps import Sweep, build_sweeps
from harness.report.table import Table, unique
from harness.robustness.reference_table import find_reference
from harness.robustness.summary import summaries


@dataclass(frozen=True)
class SweepPart:
    """One sweep: its summary and its heat maps."""

    sweep: Sweep
    summary: Table
    numbers: Table | None
    heat_maps: tuple[HeatMap, ...]


@dataclass(frozen=True)
class Part:
    """Everything about rows that may be ranked together."""

    board: Board
    leaderboard: Table
    slices: Table | None
    classes: Table | None
    ladders: tuple[tuple[Ladder, Table], ...]
    sweeps: tuple[SweepPart, ...]
    calibration: Table | None
    diagrams: tuple[Diagram, ...]
    failures: Table | None

    @property
    def title(self) -> str:
        """Say on what data the rows were scored."""
        row = self.board.first
        counts = {e.count for entry in self.board.entries for e in entry.row.metrics.values() if e}
        samples = f", {max(counts):,} samples" if counts else ""
        return f"{row.data} ({row.data_digest[:12]}), split {row.split}{samples}"

    @property
    def devices(self) -> list[str]:
        """Where latency and memory were measured."""
        return sorted({e.row.device for e in self.board.entries if e.row.efficiency.latency_runs})

    def tables(self) -> list[Table]:
        """Give every table, in the order of the page."""
        found = [self.leaderboard, self.slices, *(table for _, table in self.ladders)]
        for part in self.sweeps:
            found += [part.summary, part.numbers, *(heat_table(each, part.sweep.metric) for each in part.heat_maps)]
        found += [self.calibration, self.classes, self.failures]
        return [table for table in found if table is not None and table.lines]


@dataclass(frozen=True)
class TaskPart:
    """A task: a part for each kind of rows that may be ranked together, and example images."""

    task: str
    parts: tuple[Part, ...]
    examples: Examples


@dataclass(frozen=True)
class Report:
    """The whole report. `outdated` counts robustness records of rows that a newer one has replaced."""

    title: str
    tasks: tuple[TaskPart, ...]
    provenance: dict[str, Any]
    folders: tuple[str, ...]
    newest: str
    counts: dict[str, int]
    outdated: int


def build_report(sources: Sources, options: ReportOptions) -> Report:
    """Turn records into what is shown; raises StoreError when there is nothing to show."""
    wanted = [r for r in sources.records if options.tasks is None or r.task in options.tasks]
    if not wanted:
        raise StoreError("No records of these tasks. Run 'bench run' first, or give another --task or --results.")
    boards = [
        (board, build_sweeps(board, sources.sweeps))
        for board in build_boards(replace(sources, records=tuple(wanted)), options)
    ]
    budget = options.image_bytes
    tasks = []
    for name in unique([board.task for board, _ in boards]):
        parts = tuple(_part(board, sweeps, sources, options) for board, sweeps in boards if board.task == name)
        index = sources.examples.get(name)
        examples = build_examples(index, name, sources.example_file, budget) if index else Examples()
        budget -= sum(len(p.uri) * 3 // 4 for e in examples.shown for p in e.pictures)
        tasks.append(TaskPart(name, parts, examples))
    statuses = [entry.row.status for board, _ in boards for entry in board.entries]
    return Report(
        title=options.title,
        tasks=tuple(tasks),
        provenance=provenance(boards),
        folders=sources.folders,
        newest=max(record.created for record in wanted),
        counts={status: statuses.count(status) for status in ("ok", "failed", "skipped")},
        outdated=_outdated(boards, sources, {record.task for record in wanted}),
    )


def _part(board: Board, sweeps: Sequence[Sweep], sources: Sources, options: ReportOptions) -> Part:
    numbers = _numbers(board, sources, options)
    return Part(
        board=board,
        leaderboard=leaderboard_table(board),
        slices=slice_table(board),
        classes=class_table(board),
        ladders=tuple((ladder, ladder_table(ladder)) for ladder in build_ladders(board)),
        sweeps=tuple(SweepPart(sweep, summary_table(sweep), numbers, tuple(heat_maps(sweep))) for sweep in sweeps),
        calibration=calibration_table(board, sweeps),
        diagrams=tuple(diagrams(board, sweeps, sources.outcomes)),
        failures=failure_table(board),
    )


def _numbers(board: Board, sources: Sources, options: ReportOptions) -> Table | None:
    """The numbers of the sweeps of this board's rows."""
    shown = {name for entry in board.entries for name in entry.row.fingerprints}
    records = [record for record in sources.sweeps if record.fingerprint in shown]
    runs = [record for record in sources.records if record.fingerprint in shown]
    reference = None
    if options.reference is not None and any(record.model == options.reference for record in records):
        reference = find_reference(options.reference, records)
    rows = summaries(records, runs, reference, options.unfused)
    return number_table(rows, {entry.name: entry.key for entry in board.entries})


def _outdated(boards: Sequence[tuple[Board, Sequence[Sweep]]], sources: Sources, tasks: set[str]) -> int:
    shown = {name for board, _ in boards for entry in board.entries for name in entry.row.fingerprints}
    return sum(record.task in tasks and record.fingerprint not in shown for record in sources.sweeps)
