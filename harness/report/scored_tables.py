"""Scores of files made elsewhere, and of records that were scored again, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.plan.installed_metrics import marked, metric_named
from harness.record import Estimate, name_of
from harness.report.tables.document import Block, Heading, Notes
from harness.report.tables.table import (
    ABSENT,
    ALWAYS,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
)

if TYPE_CHECKING:
    from harness.judge.robustness.external_scores import RobustnessScores
    from harness.records.rescore import MetricChange, NotScored, Rescored
    from harness.records.score_file import FileScores

_MEASURES = {"clean": "clean", "mPC": "mPC", "rPC": "rPC", "mCE": "mCE", "relative_mCE": "relative mCE"}


def score_document(scores: FileScores) -> list[Block]:
    """Tell the scores of a file of predictions."""
    how = f"95 % intervals: by bootstrap over images, Wilson's for proportions; {scores.signature}"
    notes = Notes((*(f"Note: {note}" for note in scores.notes), how), fold=False)
    return [score_table(scores.metrics), notes]


def score_table(metrics: Mapping[str, Estimate | None]) -> Table:
    """A row for each metric, with its interval and the samples behind it."""
    columns = (
        name_column("metric"), TableColumn("value", style="{:.4f}", importance=ALWAYS, interval=True,
        ends=("low", "high", "count", "note")), text_column("of", importance=ALWAYS),
    )  # fmt: skip
    rows = []
    for name, estimate in metrics.items():
        heading = marked(name)
        value = TableCell(estimate.value, estimate) if estimate else TableCell(word="absent")
        of = TableCell(estimate.counted() if estimate else "")
        rows.append(TableRow((TableCell(name, word=heading), value, of), key=name))
    return Table("scores", "Scores", columns, tuple(rows))


def external_document(scores: RobustnessScores) -> list[Block]:
    """Give a table of percents, and by corruption the errors where there is a reference."""
    blocks: list[Block] = [external_table(scores)]
    if scores.reference is not None:
        blocks.append(corruption_error_table(scores))
        blocks.append(f"mCE: 100 % is as wrong as {scores.reference}; lower is better")
    return blocks


def external_table(scores: RobustnessScores) -> Table:
    """A row for each model of a file of cells: clean, mPC, rPC, mCE and relative mCE."""
    count = "" if scores.standard else f" ({len(scores.averaged)} perturbations, not the standard 15 x 5)"
    columns = [name_column("model")]
    for name, title in _MEASURES.items():
        told = title + (count if name in ("mPC", "mCE") else "")
        direction = metric_named(title).direction
        columns.append(TableColumn(name, told, "score", "share", "{:.1f} %", 100.0, direction, ALWAYS))
    rows = []
    for model, found in scores.models.items():
        content = found.to_json()
        cells = [TableCell(content[name], word=ABSENT if content[name] is None else None) for name in _MEASURES]
        rows.append(TableRow((TableCell(model), *cells), key=model))
    notes = dict.fromkeys(
        f"– {key}: {why}" for m in scores.models.values() for key, why in m.to_json()["reasons"].items()
    )
    return Table("robustness-scores", "Robustness", tuple(columns), tuple(rows), tuple(notes))


def corruption_error_table(scores: RobustnessScores) -> Table:
    """CE of each model under each corruption, percent."""
    columns = (
        name_column("CE ↓"),
        *(TableColumn(name, unit="share", style="{:.1f}", factor=100.0, direction=0) for name in scores.averaged),
    )
    rows = []
    for name, model in scores.models.items():
        errors = [model.error.parts[c].error.value if model.error else None for c in scores.averaged]
        cells = (TableCell(error, word=ABSENT if error is None else None) for error in errors)
        rows.append(TableRow((TableCell(name), *cells), key=name))
    return Table("corruption-errors", "Corruption errors", columns, tuple(rows))


def rescored_document(found: Sequence[Rescored], lost: Sequence[NotScored] = (), *, written: bool) -> list[Block]:
    """Say for each record, and each metric that is not of a single class, what changed; and what was not scored."""
    blocks: list[Block] = []
    for each in found:
        record = each.record
        title = f"{record.task}  {name_of(record.model, record.control)} seed {record.seed}  {record.fingerprint}"
        if each.unchanged:
            same = f"equal ({sum(not c.kept for c in each.changes)} metrics to 1e-12, same signature)"
            blocks.append(Notes((f"{title}: {same}",), fold=False))
            continue
        end = "The record was replaced; it keeps the former numbers." if written else "Write them with --write."
        blocks += [Heading(title), change_table(each.changes), Notes((*_signatures(each), end), fold=False)]
    for each_lost in lost:
        names = ", ".join(f"{name_of(r.model, r.control)} seed {r.seed}" for r in each_lost.records)
        blocks.append(Notes((f"Not scored: {names}. {each_lost.reason}",), fold=False))
    return blocks


def _signatures(each: Rescored) -> list[str]:
    if each.signature == each.record.signature:
        return ["same signature"]
    return [f"signature was {each.record.signature}", f"signature is  {each.signature}"]


def change_table(changes: Sequence[MetricChange]) -> Table:
    """A row for each metric that is not of a single class or slice, and for what differs."""
    columns = (
        name_column("metric"), TableColumn("old", style="{:.6f}", importance=ALWAYS),
        TableColumn("new", style="{:.6f}", importance=ALWAYS), text_column("difference", importance=ALWAYS, least=20),
    )  # fmt: skip
    told = (c for c in changes if not c.equal or (":" not in c.metric and "[" not in c.metric))
    return Table("changes", "Changes", columns, tuple(map(_change_row, told)))


def _change_row(change: MetricChange) -> TableRow:
    old, new = (TableCell(word="absent") if e is None else TableCell(e.value) for e in (change.old, change.new))
    if change.kept:
        new = TableCell(word=ABSENT)
    return TableRow((TableCell(change.metric), old, new, TableCell(_moved(change))), key=change.metric)


def _moved(change: MetricChange) -> str:
    from harness.records.rescore import SAME

    if change.kept:
        return "not recomputed: its answers are not stored"
    if change.equal:
        return "equal"
    if change.difference is None:
        return "absent in one"
    return "interval or count alone" if abs(change.difference) <= SAME else f"{change.difference:+.2e}"
