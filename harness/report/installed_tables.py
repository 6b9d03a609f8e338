"""What is installed -> tables for `bench list`; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.installed import InstalledEntry
from harness.plan.pairs import Pair
from harness.report.tables.table import (
    ALWAYS,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
    unique,
)


def catalogue_table(entries: Sequence[InstalledEntry], notes: Sequence[str] = ()) -> Table:
    """A row for each plugin, and what must be said below."""
    columns = (
        name_column("name"), text_column("kind", importance=ALWAYS, least=18),
        text_column("summary", importance=ALWAYS, least=30),
    )  # fmt: skip
    rows = tuple(TableRow(tuple(map(TableCell, (e.name, e.kind, e.summary))), key=e.name) for e in entries)
    return Table("installed", "Installed", columns, rows, tuple(notes))


def pair_table(pairs: Sequence[Pair]) -> Table:
    """A row for each model, a column for each task."""
    tasks = unique(pair.task for pair in pairs)
    columns = (name_column("model"), text_column(" ", name="kind", importance=ALWAYS), *map(_task_column, tasks))
    cells = {(pair.model, pair.task): _told(pair) for pair in pairs}
    kinds = {pair.model: "fused" if pair.fused else "un-fused" for pair in pairs}
    rows = tuple(
        TableRow(tuple(map(TableCell, (model, kind, *(cells.get((model, task), "") for task in tasks)))), key=model)
        for model, kind in kinds.items()
    )
    return Table("pairs", "Which model serves which task", columns, rows)


def _task_column(name: str) -> TableColumn:
    return text_column(name, importance=ALWAYS, least=8)


def _told(pair: Pair) -> str:
    if not pair.controls:
        return "yes"
    first, last = pair.controls[0], pair.controls[-1]
    return f"{first}–{last}" if len(pair.controls) > 2 else ", ".join(pair.controls)
