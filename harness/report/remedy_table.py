"""Rows of robustness -> the table of what remedies of training buy, and for how much of the clean score."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.robustness.row import RemedyGain, RobustnessRow
from harness.record import Estimate
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column
from harness.stats.propagation import Figure

_NOTE = (
    "each beside the same model without the remedy, on the same samples and seeds: change of the clean score, of the "
    "mean over the conditions that both have (no attacks, no modality controls, no natural shifts), and what is won "
    "under corruption for each point of clean score that is lost; 95 % intervals over seeds and samples{alone}"
)


def remedy_table(rows: Sequence[RobustnessRow]) -> Table | None:
    """The remedies of comparable rows, those that cost nothing first, then by gain for each point; None without any."""
    found = sorted(((row, row.remedy) for row in rows if row.remedy is not None), key=lambda pair: _order(pair[1]))
    if not found:
        return None
    columns = (
        name_column("with a remedy"),
        text_column("remedy", importance=60),
        TableColumn("seeds", kind="cost", style="{:.0f}", importance=40),
        TableColumn("conditions", kind="cost", style="{:.0f}", importance=50),
        _change("clean", "Δ clean"),
        _change("corrupted", "Δ under corruption"),
        TableColumn("ratio", "won per point lost", style="{:+.2f}", direction=1, importance=ALWAYS, interval=True),
    )
    lines = [TableRow(tuple(_cells(row, gain)), group=row.name, key=row.name) for row, gain in found]
    alone = any(len(gain.seeds) == 1 for _, gain in found)
    note = _NOTE.format(alone="; of one seed over samples alone" * alone)
    reasons = dict.fromkeys(f"{row.name}: {reason}" for row, gain in found if (reason := _reason(gain)))
    return Table("remedies", "What remedies of training buy", columns, tuple(lines), (note, *reasons))


def _change(name: str, title: str) -> TableColumn:
    return TableColumn(name, title, style="{:+.3f}", direction=1, importance=ALWAYS, interval=True)


def _cells(row: RobustnessRow, gain: RemedyGain) -> list[TableCell]:
    counts = [TableCell(len(gain.seeds)), TableCell(gain.conditions)]
    figures = [_cell(gain.clean), _cell(gain.corrupted), _cell(gain.ratio)]
    return [TableCell(row.name), TableCell(gain.remedy), *counts, *figures]


def _cell(figure: Figure) -> TableCell:
    if figure.value is None:
        return TableCell(word=figure.reason)
    if figure.low is None or figure.high is None:
        return TableCell(figure.value)
    return TableCell(figure.value, Estimate(figure.value, figure.low, figure.high, 0))


def _reason(gain: RemedyGain) -> str | None:
    """Why a number that is there has no interval."""
    return next((f.reason for f in (gain.clean, gain.corrupted, gain.ratio) if f.value is not None and f.reason), None)


def _order(gain: RemedyGain) -> tuple[int, float]:
    if gain.clean.value is None or gain.corrupted.value is None:
        return 2, 0.0
    ratio = gain.ratio.value
    return (0, -gain.corrupted.value) if ratio is None else (1, -ratio)
