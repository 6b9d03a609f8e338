"""Rows of robustness -> the summary, the table of all conditions (conditions x models), and their long list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from harness.errors import UsageError, nearest
from harness.judge.robustness.cells import FAILED, SKIPPED
from harness.judge.robustness.row import Comparable, ConditionScore, RobustnessRow
from harness.plan.installed_metrics import metric_named
from harness.record import Estimate
from harness.report.remedy_table import remedy_table
from harness.report.tables.document import Block, Heading, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ABSENT,
    ALWAYS,
    USUAL,
    VALUE_ONLY,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
    unique,
)
from harness.report.tables.values import json_text, table_csv
from harness.stats.propagation import Figure, mean_of

ROBUSTNESS_STYLES = ("text", "md", "csv", "json")
_NOTHING = "No robustness records. Run 'bench run' with --perturb first, or give another folder with --results."
_METHOD = "[95 % intervals; conservative where several conditions of the same samples enter one number]"
_SCOPE = ("task", "data", "data_digest", "split", "metric", "signature", "limit", "shortest_px")
_ENDS = ("low", "high", "reason")


def render_summary(rows: Sequence[RobustnessRow], style: str = "text", width: int | None = PIPE_WIDTH) -> str:
    """Draw one table for each set of comparable rows; raises UsageError for an unknown style."""
    _check(style)
    if style == "json":
        return json_text([row.to_json() for row in rows])
    if style == "csv":
        return _csv(rows, robustness_table)
    return document_text(robustness_document(rows), style, width)


def render_conditions(rows: Sequence[RobustnessRow], style: str = "text", width: int | None = PIPE_WIDTH) -> str:
    """Draw perturbations and their severities x models, clean first; CSV and JSON list every condition by itself.

    Raises UsageError for an unknown style.
    """
    _check(style)
    if style == "json":
        return json_text([{"model": r.name, **_means_json(r), "conditions": _conditions_json(r)} for r in rows])
    if style == "csv":
        return _csv(rows, conditions_list)
    return document_text(robustness_document(rows, cells=True), style, width)


def _csv(rows: Sequence[RobustnessRow], make: Callable[[Sequence[RobustnessRow]], Table]) -> str:
    return table_csv([make(group) for group in comparable(rows).values()] or [make(())])


def robustness_document(rows: Sequence[RobustnessRow], *, cells: bool = False) -> list[Block]:
    """Give each set of comparable rows its heading and its table; `cells`: that of all conditions."""
    make = conditions_table if cells else robustness_table
    blocks: list[Block] = []
    for scope, group in comparable(rows).items():
        limit = "" if scope.limit is None else f", at most {scope.limit} samples"
        place = f"{scope.task} on {scope.data} ({scope.data_digest[:12]}), split {scope.split}{limit}"
        blocks += [Heading(f"{place}: {scope.metric}"), make(group)]
        blocks += [] if cells or (remedies := remedy_table(group)) is None else [remedies]
    return blocks or [_NOTHING]


def comparable(rows: Sequence[RobustnessRow]) -> dict[Comparable, list[RobustnessRow]]:
    """Sort rows into those that may stand in one table."""
    found: dict[Comparable, list[RobustnessRow]] = {}
    for row in rows:
        found.setdefault(row.scope, []).append(row)
    return found


RobustnessPiece = tuple[TableColumn, list[TableCell]]


def robustness_table(rows: Sequence[RobustnessRow], keys: Sequence[str] = ()) -> Table:
    """One line a row: clean, mPC, rPC, errors, impact, effective robustness, the worst condition, and what is used.

    `keys` are ids of the rows on a page, where its numbers say where they come from.
    """
    ids = keys or [""] * len(rows)
    parts: list[RobustnessPiece] = [
        (_hidden(name), [TableCell(getattr(row.scope, name)) for row in rows]) for name in _SCOPE
    ]
    parts += [(name_column("model"), [TableCell(row.model, word=row.name) for row in rows])]
    parts += [(_hidden("control"), [TableCell(row.control) for row in rows])]
    parts += [(TableColumn("seeds", kind="cost", style="{:.0f}"), [TableCell(len(row.seeds)) for row in rows])]
    figures = [_figures(row) for row in rows]
    counts = [min((c.count for c in row.conditions if c.count), default=0) for row in rows]
    for column in _columns(rows, figures, intervals=bool(keys)):
        told = zip(figures, counts, ids, strict=True)
        parts.append((column, [_cell(found.get(column.name, Figure(None)), c, column, key) for found, c, key in told]))
    parts += [(text_column("worst condition"), [TableCell(_worst(row)) for row in rows])]
    parts += [
        (TableColumn(name, kind="cost", importance=importance), [_share(getattr(row, name), row) for row in rows])
        for name, importance in (("failed", 45), ("skipped", 40))
    ]
    parts += [
        (
            text_column(f"uses {what}", importance=70),
            [TableCell(getattr(row.modality_use, what).verdict) for row in rows],
        )
        for what in ("image", "text")
    ]
    parts += [(_hidden("planned"), [TableCell(row.planned) for row in rows])]
    parts += [(_hidden("mean over"), [TableCell(row.corruption.label) for row in rows])]
    lines = tuple(
        TableRow(tuple(cells[place] for _, cells in parts), "control" if row.control else "model", row.model, row.name)
        for place, row in enumerate(rows)
    )
    return Table("robustness-numbers", "Robustness", tuple(column for column, _ in parts), lines, (_METHOD,))


def _figures(row: RobustnessRow) -> dict[str, Figure]:
    found = {"clean": row.clean, "mPC": row.corruption.mpc, "rPC": row.corruption.rpc}
    if row.mce:
        found |= {"mCE": row.mce.mce, "relative mCE": row.mce.relative}
    found |= row.others
    found |= {"MMI image": row.mmi_image.overall, "MMI text": row.mmi_text.overall}
    return found | {f"effective: {target}": each.figure for target, each in row.effective.items()}


def _columns(
    rows: Sequence[RobustnessRow], figures: Sequence[Mapping[str, Figure]], *, intervals: bool
) -> list[TableColumn]:
    """Columns of the numbers; of effective robustness, one says as well as ten why there is no fit."""
    reference = next((row.mce.reference for row in rows if row.mce), None)
    shown = {
        "clean": TableColumn("clean", direction=1, importance=90, interval=True),
        "mPC": TableColumn(
            "mPC", rows[0].corruption.label if rows else "", direction=1, importance=ALWAYS, interval=True
        ),
        "rPC": _percents("rPC", importance=80),
    }
    if reference:
        shown |= {name: _percents(name, f"{name}@{reference}", importance=75) for name in ("mCE", "relative mCE")}
    others = unique(label for row in rows for label in row.others)
    shown |= {label: TableColumn(label, direction=1, importance=70, interval=True) for label in others}
    shown |= {name: _percents(name, importance=60) for name in ("MMI image", "MMI text")}
    targets = unique(name for found in figures for name in found if name.startswith("effective: "))
    known = [name for name in targets if any(name in f and f[name].value is not None for f in figures)]
    for name in targets:
        title = f"effective robustness: {name.removeprefix('effective: ')}"
        importance = 30 if name in (known or targets[:1]) else VALUE_ONLY
        shown[name] = TableColumn(name, title, style="{:+.3f}", direction=1, interval=True, importance=importance)
    return [replace(column, ends=_ENDS, interval=column.interval or intervals) for column in shown.values()]


def _percents(name: str, title: str = "", importance: int = USUAL) -> TableColumn:
    direction = metric_named(name).direction
    return TableColumn(name, title, "score", "share", "{:.1f} %", 100.0, direction, importance)


def _cell(figure: Figure, count: int, column: TableColumn, key: str) -> TableCell:
    origin = Origin(column.title or column.name, (key,)) if key else None
    return figure_cell(figure, count, origin)


def figure_cell(figure: Figure, count: int = 0, origin: Origin | None = None) -> TableCell:
    """Make the cell of a figure: its number and interval, or the reason why there is none."""
    if figure.value is None:
        return TableCell(reason=figure.reason or "no reason given")
    estimate = None
    if figure.low is not None and figure.high is not None:
        estimate = Estimate(figure.value, figure.low, figure.high, count)
    return TableCell(figure.value, estimate, origin=origin)


def _hidden(name: str) -> TableColumn:
    return TableColumn(name, importance=VALUE_ONLY)


def _share(count: int, row: RobustnessRow) -> TableCell:
    return TableCell(count, word=f"{count}/{row.planned}")


def _worst(row: RobustnessRow) -> str:
    if row.worst is None:
        return ABSENT
    severity = f" {row.worst.severity}" if row.worst.severity else ""
    return f"{row.worst.perturbation}{severity}: {row.worst.score.known:.3f}"


def conditions_table(rows: Sequence[RobustnessRow]) -> Table:
    """A line for each severity of a perturbation, and their mean where there are several.

    Joint conditions may share name and severity (fog 1 with typo 3, fog 3 with typo 1): each has a line.
    """
    found = [_by_cell(row) for row in rows]
    means = [perturbation_scores(row) for row in rows]
    lines = [_line("clean", None, [figure_cell(row.clean) for row in rows])]
    for name in dict.fromkeys(name for cells in found for name, _ in cells):
        severities = sorted({severity for cells in found for other, severity in cells if other == name})
        for severity in severities:
            for own in zip_longest(*(cells.get((name, severity), ()) for cells in found)):
                shown = [TableCell() if c is None else _condition_cell(c.status, c.score) for c in own]
                lines.append(_line(name, severity or None, shown))
        if len(severities) > 1:
            shown = [_condition_cell(*mean[name]) if name in mean else TableCell() for mean in means]
            lines.append(_line(name, "mean", shown))
    severity_column = TableColumn("severity", kind="cost", style="{:.0f}", importance=ALWAYS)
    models = (TableColumn(row.name, importance=USUAL) for row in rows)
    return Table("conditions", "Conditions", (name_column("condition"), severity_column, *models), tuple(lines))


def _line(name: str, severity: int | str | None, cells: Sequence[TableCell]) -> TableRow:
    return TableRow((TableCell(name), TableCell(severity), *cells), group=name, key=name)


def _condition_cell(status: str, score: Figure) -> TableCell:
    return replace(figure_cell(score), word="failed" if score.value is None and status == FAILED else None)


def _by_cell(row: RobustnessRow) -> dict[tuple[str, int], list[ConditionScore]]:
    found: dict[tuple[str, int], list[ConditionScore]] = {}
    for condition in row.conditions:
        found.setdefault((condition.perturbation, condition.severity), []).append(condition)
    return found


def conditions_list(rows: Sequence[RobustnessRow]) -> Table:
    """Every condition of every model, clean (severity 0) first, one a line, by raw value."""
    names = (
        "task", "data", "data_digest", "metric", "model", "control", "perturbation", "severity", "value", "low", "high",
        "count", "status", "reason",
    )  # fmt: skip
    lines = []
    for row in rows:
        scope = (row.scope.task, row.scope.data, row.scope.data_digest, row.scope.metric, row.model, row.control)
        status = "ok" if row.clean.value is not None else FAILED
        clean = ConditionScore("clean", 0, "", "", status, row.clean, row.clean_count)
        for c in (clean, *row.conditions):
            ends = (c.score.value, c.score.low, c.score.high, c.count, c.status, c.score.reason)
            lines.append(TableRow(tuple(map(TableCell, (*scope, c.perturbation, c.severity, *ends))), key=row.name))
    return Table("conditions", "Conditions", tuple(map(TableColumn, names)), tuple(lines))


def perturbation_scores(row: RobustnessRow) -> dict[str, tuple[str, Figure]]:
    """Give each perturbation its status and its mean over severities; one failed severity makes it failed."""
    found: dict[str, list[ConditionScore]] = {}
    for condition in row.conditions:
        found.setdefault(condition.perturbation, []).append(condition)
    return {name: (_status(of_name), _mean(of_name)) for name, of_name in found.items()}


def _status(conditions: Sequence[ConditionScore]) -> str:
    statuses = {condition.status for condition in conditions}
    return next((status for status in (FAILED, SKIPPED) if status in statuses), "ok")


def _mean(conditions: Sequence[ConditionScore]) -> Figure:
    """Average; of several reasons why there is none, that of a failure."""
    failed = [condition.score for condition in conditions if condition.status == FAILED]
    return mean_of([*failed, *(condition.score for condition in conditions)])


def _means_json(row: RobustnessRow) -> dict[str, Any]:
    scores = perturbation_scores(row).items()
    cells = {name: {"status": status, **score.to_json()} for name, (status, score) in scores}
    return {"clean": row.clean.to_json(), "perturbations": cells}


def _conditions_json(row: RobustnessRow) -> list[dict[str, Any]]:
    kept = ("perturbation", "severity", "status", "count")
    return [{name: getattr(c, name) for name in kept} | c.score.to_json() for c in row.conditions]


def _check(style: str) -> None:
    if style not in ROBUSTNESS_STYLES:
        raise UsageError(f"Unknown style '{style}'. {nearest(style, ROBUSTNESS_STYLES)}")
