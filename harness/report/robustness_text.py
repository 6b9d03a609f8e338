"""Rows -> the summary table, the table of all conditions (conditions x models) and their long list."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from harness.errors import UsageError, nearest
from harness.judge.robustness.cells import FAILED, SKIPPED
from harness.judge.robustness.row import Comparable, ConditionScore, RobustnessRow
from harness.metrics.directions import marked
from harness.report.table_text import aligned, markdown
from harness.stats.propagation import Figure, mean_of
from harness.text.outside_text import csv_text, markdown_text, one_line

STYLES = ("text", "md", "csv", "json")
_NOTHING = "No robustness records. Run 'bench run' with --perturb first, or give another folder with --results."
_LONG = ("model", "control", "perturbation", "severity", "value", "low", "high", "count", "status", "reason")


class _Footnotes:
    """Reasons in the order in which they turn up, each with a number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, word: str, reason: str | None) -> str:
        """Put a reason's number behind a word."""
        return f"{word} ({self.numbers.setdefault(reason or 'no reason given', len(self.numbers) + 1)})"

    def lines(self) -> list[str]:
        """List the reasons."""
        return [f"({number}) {reason}" for reason, number in self.numbers.items()]


Draw = Callable[[Sequence[RobustnessRow], _Footnotes], list[list[str]]]


def render_summary(rows: Sequence[RobustnessRow], style: str = "text") -> str:
    """Draw one table for each set of comparable rows; raises UsageError for an unknown style."""
    _check(style)
    if style == "json":
        return json.dumps([row.to_json() for row in rows], indent=1, allow_nan=False)
    if style == "csv":
        return _summary_csv(rows)
    return _titled(rows, style, _summary_cells, intervals=True)


def render_conditions(rows: Sequence[RobustnessRow], style: str = "text") -> str:
    """Draw perturbations and their severities x models, clean first; CSV and JSON list every condition by itself.

    Raises UsageError for an unknown style.
    """
    _check(style)
    if style == "csv":
        return conditions_csv(rows)
    if style == "json":
        content = [{"model": row.name, **_heat_json(row), "conditions": _conditions_json(row)} for row in rows]
        return json.dumps(content, indent=1, allow_nan=False)
    return _titled(rows, style, _condition_cells)


def _conditions_json(row: RobustnessRow) -> list[dict[str, Any]]:
    return [
        {"perturbation": c.perturbation, "severity": c.severity, "status": c.status, "count": c.count}
        | c.score.to_json()
        for c in row.conditions
    ]


def _condition_cells(rows: Sequence[RobustnessRow], notes: _Footnotes) -> list[list[str]]:
    """A line for each severity of a perturbation, and their mean where there are several.

    Joint conditions may share name and severity (fog 1 with typo 3, fog 3 with typo 1): each has a line.
    """
    found = [_by_cell(row) for row in rows]
    means = [perturbation_scores(row) for row in rows]
    table = [["condition", "severity", *(row.name for row in rows)]]
    table.append(["clean", "", *(_number(row.clean, notes, interval=False) for row in rows)])
    for name in dict.fromkeys(name for cells in found for name, _ in cells):
        severities = sorted({severity for cells in found for other, severity in cells if other == name})
        for severity in severities:
            for own in zip_longest(*(cells.get((name, severity), ()) for cells in found)):
                shown = ("" if c is None else _heat(c.status, c.score, notes) for c in own)
                table.append([name, str(severity or ""), *shown])
        if len(severities) > 1:
            table.append([name, "mean", *(_heat(*mean[name], notes) if name in mean else "" for mean in means)])
    return table


def _by_cell(row: RobustnessRow) -> dict[tuple[str, int], list[ConditionScore]]:
    found: dict[tuple[str, int], list[ConditionScore]] = {}
    for condition in row.conditions:
        found.setdefault((condition.perturbation, condition.severity), []).append(condition)
    return found


def conditions_csv(rows: Sequence[RobustnessRow]) -> str:
    """List every condition of every model, clean (severity 0) first, one a line."""
    lines: list[Sequence[Any]] = [("task", "data", "data_digest", "metric", *_LONG)]
    for row in rows:
        where = (row.scope.task, row.scope.data, row.scope.data_digest, row.scope.metric)
        lines.append(
            (*where, row.model, row.control, "clean", 0, *_ends(row.clean), row.clean_count, *_state(row.clean))
        )
        for c in row.conditions:
            value = _ends(c.score)
            reason = c.score.reason
            lines.append(
                (*where, row.model, row.control, c.perturbation, c.severity, *value, c.count, c.status, reason)
            )
    return _csv(lines)


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


def _summary_cells(rows: Sequence[RobustnessRow], notes: _Footnotes) -> list[list[str]]:
    reference = next((row.mce.reference for row in rows if row.mce), None)
    errors = [marked(f"{name}@{reference}") for name in ("mCE", "relative mCE")] if reference else []
    every = list(dict.fromkeys(target for row in rows for target in row.effective))
    known = [t for t in every if any(t in row.effective and row.effective[t].figure.value is not None for row in rows)]
    effective = known or every[:1]  # one column says as well as ten why there is no fit
    heading = ["model", "seeds", "clean", rows[0].corruption.label, "rPC", *errors]
    heading += [marked("MMI image"), marked("MMI text")]
    heading += [f"effective robustness: {target}" for target in effective]
    heading += ["worst condition", "failed", "skipped", "uses image", "uses text"]
    table = [heading]
    for row in rows:
        measured = [_number(row.clean, notes), _number(row.corruption.mpc, notes), _percent(row.corruption.rpc, notes)]
        if row.mce:
            measured += [_percent(row.mce.mce, notes), _percent(row.mce.relative, notes)]
        measured += [_percent(row.mmi_image.overall, notes), _percent(row.mmi_text.overall, notes)]
        measured += [_signed(row.effective[target].figure, notes) for target in effective]
        counts = [f"{row.failed}/{row.planned}", f"{row.skipped}/{row.planned}"]
        use = [row.modality_use.image.verdict, row.modality_use.text.verdict]
        table.append([row.name, str(len(row.seeds)), *measured, _worst(row), *counts, *use])
    return table


def _heat(status: str, score: Figure, notes: _Footnotes) -> str:
    if score.value is not None:
        return f"{score.value:.3f}"
    return notes.mark("failed" if status == FAILED else "–", score.reason)


def _heat_json(row: RobustnessRow) -> dict[str, Any]:
    scores = perturbation_scores(row).items()
    cells = {name: {"status": status, **score.to_json()} for name, (status, score) in scores}
    return {"clean": row.clean.to_json(), "perturbations": cells}


def _summary_csv(rows: Sequence[RobustnessRow]) -> str:
    targets = list(dict.fromkeys(target for row in rows for target in row.effective))
    figures = [_figures(row, targets) for row in rows]
    names = list(dict.fromkeys(name for of_row in figures for name in of_row))
    plain = ("task", "data", "data_digest", "split", "metric", "signature", "limit", "shortest_px")
    ends = [f"{name}{end}" for name in names for end in ("", " low", " high", " reason")]
    counted = ("planned", "failed", "skipped", "uses image", "uses text", "worst condition", "mean over")
    lines: list[Sequence[Any]] = [(*plain, "model", "control", "seeds", *ends, *counted)]
    for row, of_row in zip(rows, figures, strict=True):
        empty = Figure(None)
        values = [v for name in names for v in (*_ends(of_row.get(name, empty)), of_row.get(name, empty).reason)]
        use = (row.modality_use.image.verdict, row.modality_use.text.verdict)
        counts = (row.planned, row.failed, row.skipped, *use, _worst(row), row.corruption.label)
        where = [getattr(row.scope, name) for name in plain]
        lines.append((*where, row.model, row.control, len(row.seeds), *values, *counts))
    return _csv(lines)


def _figures(row: RobustnessRow, targets: Sequence[str]) -> dict[str, Figure]:
    found = {"clean": row.clean, "mPC": row.corruption.mpc, "rPC": row.corruption.rpc}
    if row.mce:
        found |= {"mCE": row.mce.mce, "relative mCE": row.mce.relative}
    found |= {"MMI image": row.mmi_image.overall, "MMI text": row.mmi_text.overall}
    return found | {
        f"effective: {target}": row.effective[target].figure for target in targets if target in row.effective
    }


def _worst(row: RobustnessRow) -> str:
    if row.worst is None:
        return "–"
    severity = f" {row.worst.severity}" if row.worst.severity else ""
    return f"{row.worst.perturbation}{severity}: {row.worst.score.known:.3f}"


def _number(figure: Figure, notes: _Footnotes, interval: bool = True) -> str:
    return _shown(figure, notes, "{:.3f}", 1.0, interval)


def _percent(figure: Figure, notes: _Footnotes) -> str:
    return _shown(figure, notes, "{:.1f} %", 100.0, False)


def _signed(figure: Figure, notes: _Footnotes) -> str:
    return _shown(figure, notes, "{:+.3f}", 1.0, True)


def _shown(figure: Figure, notes: _Footnotes, style: str, factor: float, interval: bool) -> str:
    if figure.value is None:
        return notes.mark("–", figure.reason)
    text = style.format(figure.value * factor)
    if not interval or figure.low is None or figure.high is None:
        return text
    return f"{text} [{style.format(figure.low * factor)}, {style.format(figure.high * factor)}]"


def _titled(rows: Sequence[RobustnessRow], style: str, cells: Draw, intervals: bool = False) -> str:
    tables: dict[Comparable, list[RobustnessRow]] = {}
    for row in rows:
        tables.setdefault(row.scope, []).append(row)
    parts = []
    for scope, group in tables.items():
        notes = _Footnotes()
        table = cells(group, notes)
        body = markdown(table) if style == "md" else aligned(table)
        limit = "" if scope.limit is None else f", at most {scope.limit} samples"
        title = f"{scope.task} on {scope.data} ({scope.data_digest[:12]}), split {scope.split}{limit}: {scope.metric}"
        heading = f"**{markdown_text(title)}**" if style == "md" else one_line(title)
        lines = [*([_METHOD] if intervals else []), *notes.lines()]
        footer = "\n".join(f"- {markdown_text(line)}" if style == "md" else one_line(line) for line in lines)
        parts.append(f"{heading}\n\n{body}\n" + (f"\n{footer}\n" if footer else ""))
    return "\n\n".join(parts) or _NOTHING


_METHOD = "[95 % intervals; conservative where several conditions of the same samples enter one number]"


def _ends(figure: Figure) -> tuple[float | None, float | None, float | None]:
    return figure.value, figure.low, figure.high


def _state(figure: Figure) -> tuple[str, str | None]:
    return ("ok", None) if figure.value is not None else ("failed", figure.reason)


def _csv(lines: Sequence[Sequence[Any]]) -> str:
    return csv_text(lines).rstrip("\n")


def _check(style: str) -> None:
    if style not in STYLES:
        raise UsageError(f"Unknown style '{style}'. {nearest(style, STYLES)}")
