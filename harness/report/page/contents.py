"""Gathers everything that a report shows, as plain values: no HTML, no charts, no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.collector import collection_paused
from harness.errors import StoreError
from harness.judge.robustness.reference_table import find_reference
from harness.judge.robustness.remedies import with_gains
from harness.judge.robustness.row import RobustnessRow
from harness.judge.robustness.summary import summaries
from harness.report.leaderboard_tables import data_title
from harness.report.page.calibration_part import Diagram, calibration_table, diagrams
from harness.report.page.entries import Board, build_boards
from harness.report.page.examples import ExampleIndex, Examples, build_examples
from harness.report.page.explanation_part import ExplanationPart, explanation_part
from harness.report.page.ladder import Ladder, build_ladders, ladder_table
from harness.report.page.notes import page_notes
from harness.report.page.number_table import number_table
from harness.report.page.provenance import provenance_of_page
from harness.report.page.score_tables import (
    board_prompts,
    board_slices,
    board_table,
    board_together,
    class_table,
    failure_table,
)
from harness.report.page.sources import ReportOptions, Sources
from harness.report.page.sweep_tables import HeatMap, heat_maps, heat_table, summary_table
from harness.report.page.sweeps import Sweep, build_robustness
from harness.report.remedy_table import remedy_table
from harness.report.sequence_table import sequence_tables
from harness.report.service_table import service_table
from harness.report.tables.table import Table, unique
from harness.report.trial_table import trial_table
from harness.report.variant_table import variant_table


@dataclass(frozen=True)
class RobustnessPart:
    """One sweep: its summary and its heat maps."""

    sweep: Sweep
    summary: Table
    numbers: Table | None
    remedies: Table | None
    heat_maps: tuple[HeatMap, ...]


@dataclass(frozen=True)
class PagePart:
    """Everything about rows that may be ranked together."""

    board: Board
    leaderboard: Table
    variants: Table | None
    services: Table | None
    together: tuple[Table, ...]
    slices: Table | None
    prompts: Table | None
    trials: Table | None
    sequences: tuple[Table, ...]
    classes: Table | None
    ladders: tuple[tuple[Ladder, Table], ...]
    sweeps: tuple[RobustnessPart, ...]
    explanations: ExplanationPart | None
    calibration: Table | None
    diagrams: tuple[Diagram, ...]
    failures: Table | None
    examples: Examples
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Say on what data the rows were scored."""
        return data_title([entry.row for entry in self.board.entries])

    @property
    def devices(self) -> list[str]:
        """Where latency and memory were measured."""
        return sorted({e.row.device for e in self.board.entries if e.row.efficiency.latency_runs})

    def tables(self) -> list[Table]:
        """Give every table, in the order of the page."""
        found = [self.leaderboard, self.variants, self.services, *self.together, self.slices, self.prompts, self.trials]
        found += self.sequences
        found += [table for _, table in self.ladders]
        for part in self.sweeps:
            found += [part.summary, part.numbers, part.remedies]
            found += [heat_table(each, part.sweep.metric) for each in part.heat_maps]
        found += [self.explanations.table if self.explanations else None, self.calibration, self.classes, self.failures]
        return [table for table in found if table is not None and table.rows]


@dataclass(frozen=True)
class TaskPart:
    """A task: a part for each kind of rows that may be ranked together, and example images of unknown data."""

    task: str
    parts: tuple[PagePart, ...]
    unplaced: tuple[Examples, ...]


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


@collection_paused()
def build_report(sources: Sources, options: ReportOptions) -> Report:
    """Turn records into what is shown; raises StoreError when there is nothing to show."""
    wanted = [r for r in sources.records if options.tasks is None or r.task in options.tasks]
    if not wanted:
        raise StoreError("No records of these tasks. Run 'bench run' first, or give another --task or --results.")
    boards = [
        (board, build_robustness(board, sources.sweeps))
        for board in build_boards(replace(sources, records=tuple(wanted)), options)
    ]
    gallery = _Gallery(sources.examples, options.image_bytes)
    tasks = []
    for name in unique([board.task for board, _ in boards]):
        mine = [(board, sweeps) for board, sweeps in boards if board.task == name]
        holders = _holders(mine)
        parts = tuple(
            _part(board, sweeps, sources, options, gallery.of(board) if board in holders else Examples())
            for board, sweeps in mine
        )
        tasks.append(TaskPart(name, parts, gallery.unplaced(name)))
    statuses = [entry.row.status for board, _ in boards for entry in board.entries]
    return Report(
        title=options.title,
        tasks=tuple(tasks),
        provenance=provenance_of_page(boards),
        folders=sources.folders,
        newest=max(record.created for record in wanted),
        counts={status: statuses.count(status) for status in ("ok", "failed", "skipped")},
        outdated=_outdated(boards, sources, {record.task for record in wanted}),
    )


def _holders(boards: Sequence[tuple[Board, Sequence[Sweep]]]) -> list[Board]:
    """Choose which board of each data and split shows its examples: one that was perturbed, else the first."""
    found: dict[tuple[str, str], Board] = {}
    for board, _ in sorted(boards, key=lambda pair: not pair[1]):
        found.setdefault((board.first.data_digest, board.first.split), board)
    return list(found.values())


class _Gallery:
    """Hands out example images, those of a board's data to that board, until the page's budget is spent."""

    def __init__(self, found: Mapping[str, Sequence[ExampleIndex]], budget_bytes: int) -> None:
        self.found, self.budget = {task: list(indices) for task, indices in found.items()}, budget_bytes

    def of(self, board: Board) -> Examples:
        """Take the examples of the board's data and split."""
        scope = (board.first.data_digest, board.first.split)
        index = next((each for each in self.found.get(board.task, ()) if each.scope == scope), None)
        return Examples() if index is None else self._take(board.task, index, [e.row.model for e in board.entries])

    def unplaced(self, task: str) -> tuple[Examples, ...]:
        """Take those of which nothing says what data they are of."""
        return tuple(self._take(task, each, ()) for each in list(self.found.get(task, ())) if each.scope is None)

    def _take(self, task: str, index: ExampleIndex, order: Sequence[str]) -> Examples:
        self.found[task].remove(index)
        examples = build_examples(index, self.budget, order)
        self.budget -= examples.bytes
        return examples


def _part(
    board: Board, sweeps: Sequence[Sweep], sources: Sources, options: ReportOptions, examples: Examples
) -> PagePart:
    rows = _perturbed(board, sources, options)
    tables = number_table(rows, {entry.name: entry.key for entry in board.entries}), remedy_table(rows)
    return PagePart(
        board=board,
        leaderboard=board_table(board),
        variants=variant_table([entry.row for entry in board.entries]),
        services=service_table([entry.row for entry in board.entries]),
        together=board_together(board),
        slices=board_slices(board),
        prompts=board_prompts(board),
        trials=trial_table([entry.row for entry in board.entries]),
        sequences=tuple(sequence_tables([entry.row for entry in board.entries])),
        classes=class_table(board),
        ladders=tuple((ladder, ladder_table(ladder)) for ladder in build_ladders(board)),
        sweeps=tuple(RobustnessPart(sweep, summary_table(sweep), *tables, tuple(heat_maps(sweep))) for sweep in sweeps),
        explanations=explanation_part(board, sources),
        calibration=calibration_table(board, sweeps),
        diagrams=tuple(diagrams(board, sweeps, sources.outcomes)),
        failures=failure_table(board),
        examples=examples,
        notes=tuple(page_notes(board)),
    )


def _perturbed(board: Board, sources: Sources, options: ReportOptions) -> list[RobustnessRow]:
    """The numbers of the sweeps of this board's rows, each beside the same model without its remedies."""
    shown = {name for entry in board.entries for name in entry.row.fingerprints}
    records = [record for record in sources.sweeps if record.fingerprint in shown]
    runs = [record for record in sources.records if record.fingerprint in shown]
    reference = None
    if options.reference is not None and any(record.model == options.reference for record in records):
        reference = find_reference(options.reference, records)
    return with_gains(summaries(records, runs, reference, options.unfused), runs, sources.sample_scores)


def _outdated(boards: Sequence[tuple[Board, Sequence[Sweep]]], sources: Sources, tasks: set[str]) -> int:
    shown = {name for board, _ in boards for entry in board.entries for name in entry.row.fingerprints}
    return sum(record.task in tasks and record.fingerprint not in shown for record in sources.sweeps)
