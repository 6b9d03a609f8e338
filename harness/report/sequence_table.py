"""Rows of a leaderboard -> the table of what models keep that were trained on one domain after the other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.judge.leaderboard import Row
from harness.judge.sequence_scores import figure_estimate, retention_estimate
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column
from harness.stats.forgetting import SEQUENCE_FIGURES

_NOTE = (
    "{metric} on {domains}, trained on in this order. Avg, Last, Transfer: ZSCL (Zheng et al. 2023). BWT: last minus "
    "just after the domain's own stage (GEM, Lopez-Paz and Ranzato 2017); forgetting: best of the earlier stages minus "
    "last (Chaudhry et al. 2018), above 0 by chance alone. Retention: of what was above chance before training, the "
    "share just before a domain's own stage. 95 % intervals over seeds and samples{alone}."
)
_LOSSES = {"BWT": 1, "forgetting": -1}
"""Figures that are shown with their intervals, and whether more is better."""
_IMPORTANCE = (40, 60, 45, ALWAYS, 80)
"""Which figures stay where there is no room for all; BWT decides."""


def sequence_tables(rows: Sequence[Row]) -> list[Table]:
    """A table for each sequence of domains that models of a leaderboard were trained on."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.sequences:
            found.setdefault(row.sequences[0].same, []).append(row)
    return [_table(those) for those in found.values()]


def _table(rows: Sequence[Row]) -> Table:
    first = rows[0].sequences[0]
    speaks = any(row.sequences[0].language_loss for row in rows)
    columns = (
        name_column("after one domain and the other"),
        *(
            TableColumn(name, name, importance=place, interval=name in _LOSSES, direction=_LOSSES.get(name, 1))
            for name, place in zip(SEQUENCE_FIGURES, _IMPORTANCE, strict=True)
        ),
        TableColumn("retention", "retention", importance=50, interval=True),
        *((TableColumn("language loss", "language loss", importance=70),) if speaks else ()),
    )
    lines = [TableRow(tuple(_cells(row, speaks)), group=row.name, key=row.name) for row in rows]
    single = any(len(row.sequences) == 1 for row in rows)
    note = _NOTE.format(
        metric=first.metric, domains=", ".join(first.domains), alone="; of one seed over samples alone" * single
    )
    return Table("sequences", "trained on one domain after the other", columns, tuple(lines), (note,))


def _cells(row: Row, speaks: bool) -> list[TableCell]:
    cells = [TableCell(row.name)]
    for name in SEQUENCE_FIGURES:
        found = figure_estimate(name, row.sequences)
        cells.append(TableCell(found.value, found))
    kept = retention_estimate(row.sequences)
    cells.append(TableCell(kept.value, kept) if kept else TableCell(None))
    if speaks:
        rises = [seed.language_loss[-1] - seed.language_loss[0] for seed in row.sequences if seed.language_loss]
        cells.append(TableCell(fmean(rises) if rises else None))
    return cells
