"""How models do by groups, as tables: a line a model for each column that the user gave."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.groups import GroupLine
from harness.judge.robustness.worst_group import LEAST_IN_A_GROUP
from harness.plan.installed_metrics import marked
from harness.report.tables.document import Block, Heading, Notes, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ALWAYS,
    ENDS,
    EXTRA,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
    unique,
)
from harness.report.tables.values import json_text

_SIGNED = "{:+.3f}"


def render_groups(lines: Sequence[GroupLine], style: str, width: int | None = PIPE_WIDTH) -> str:
    """Render as text, md or json."""
    if style == "json":
        return json_text([line.to_json() for line in lines])
    return document_text(groups_document(lines), style, width)


def groups_document(lines: Sequence[GroupLine]) -> list[Block]:
    """Give each column a table of gaps, one of all groups, and what must be known to read them."""
    blocks: list[Block] = []
    for column in unique(line.column for line in lines):
        own = [line for line in lines if line.column == column]
        blocks += [Heading(f"groups by {column}: {marked(own[0].metric)}"), gap_table(own), every_group_table(own)]
        blocks.append(Notes(tuple(_notes(own)), fold=False))
    return blocks or ["No rows with scores to group."]


def gap_table(lines: Sequence[GroupLine]) -> Table:
    """The worst and the best group, the gap, the gap of groups that are alike, and bias amplification."""
    columns = (
        name_column("model"),
        text_column("worst group", importance=90),
        text_column("best group", importance=60),
        TableColumn("gap", direction=-1, interval=True, importance=ALWAYS, ends=ENDS),
        TableColumn("gap-alike", "gap of random groups", importance=80),
        TableColumn("p", kind="cost", importance=75),
        TableColumn("BiasAmp to labels", interval=True, style=_SIGNED, importance=70, ends=ENDS),
        TableColumn("BiasAmp to groups", interval=True, style=_SIGNED, importance=65, ends=ENDS),
        TableColumn("samples", kind="cost", style="{:.0f}", importance=EXTRA),
    )
    rows = []
    for line in lines:
        gap = line.gap
        first = [TableCell(word="–")] * 5
        if gap is not None:
            first = [
                TableCell(gap.worst), TableCell(gap.best), score_cell(gap.gap, None, "–"), TableCell(gap.alike),
                TableCell(gap.p),
            ]  # fmt: skip
        amplified = [score_cell(each, None, "–") for each in (line.to_labels, line.to_groups)]
        rows.append(TableRow((TableCell(line.name), *first, *amplified, TableCell(line.samples)), key=line.name))
    return Table("gaps", "Gaps between groups", columns, tuple(rows))


def every_group_table(lines: Sequence[GroupLine]) -> Table:
    """The metric in each group."""
    names = unique(name for line in lines if line.gap for name in line.gap.groups)
    columns = tuple(TableColumn(name, interval=True, ends=ENDS) for name in names)
    rows = [
        TableRow((TableCell(line.name), *(score_cell(line.gap.groups.get(n), None, "–") for n in names)), key=line.name)
        for line in lines
        if line.gap
    ]
    return Table("groups", "Scores of each group", (name_column("model, by group"), *columns), tuple(rows))


def _notes(lines: Sequence[GroupLine]) -> list[str]:
    sizes = [e.count for line in lines if line.gap for e in line.gap.groups.values() if e]
    notes = [
        "gap of random groups: what groups of these sizes show that are drawn at random from the same samples; p: the "
        "share of them with a gap as wide",
        "BiasAmp (Wang & Russakovsky 2021): above 0 where predictions make correlations of groups and labels stronger",
    ]
    if sizes and min(sizes) < LEAST_IN_A_GROUP:
        notes.append(f"the smallest group has {min(sizes)} samples; below {LEAST_IN_A_GROUP} the worst reads too low")
    return [*notes, *unique(note for line in lines for note in line.notes)]
