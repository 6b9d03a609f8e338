"""Tables of metrics that can only be read together (`Metric.together`), a line a model."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.leaderboard import Row
from harness.plan.installed_metrics import in_table_order, metric_named
from harness.report.tables.table import (
    ENDS,
    USUAL,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    unique,
)

_WITH_INTERVALS = 2
"""Of so many metrics of a table the interval stands beside the value; of the others on pages and in files."""


def together_tables(rows: Sequence[Row], keys: Sequence[str] = ()) -> list[Table]:
    """Make a table of each title that metrics of these rows have; a metric that no row has is left out.

    `keys` are ids of the rows on a page, where its numbers say where they come from.
    """
    ids = keys or [""] * len(rows)
    scored = [(row, key) for row, key in zip(rows, ids, strict=True) if row.metrics]
    titles: dict[str, list[str]] = {}
    for name in in_table_order(unique(name for row, _ in scored for name, found in row.metrics.items() if found)):
        title = "" if ":" in name or "[" in name else metric_named(name).together
        if title:
            titles.setdefault(title, []).append(name)
    return [_table(title, names, scored) for title, names in titles.items()]


def _table(title: str, names: Sequence[str], scored: Sequence[tuple[Row, str]]) -> Table:
    columns = [_column(name, place) for place, name in enumerate(names)]
    lines = tuple(
        TableRow((TableCell(row.name), *(_cell(row, name, key) for name in names)), group=row.name, key=row.name)
        for row, key in scored
    )
    stem = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return Table(stem, title, (name_column(title.lower()), *columns), lines)


def _column(name: str, place: int) -> TableColumn:
    metric = metric_named(name)
    style = "{:.1f}" if metric.highest is None else "{:.3f}"
    return TableColumn(
        name,
        name.replace("-", " "),
        direction=metric.direction,
        style=style,
        interval=place < _WITH_INTERVALS,
        importance=USUAL + 40 - place,
        ends=ENDS,
    )


def _cell(row: Row, name: str, key: str) -> TableCell:
    return score_cell(row.metrics.get(name), Origin(name, (key,)) if key else None, "absent")
