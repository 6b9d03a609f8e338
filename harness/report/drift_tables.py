"""What a look for drift found, as tables: the tests, and accuracy as it was, as estimated, as it is where known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.report.tables.document import Block, Heading
from harness.report.tables.table import (
    ALWAYS,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
)
from harness.stats.drift_report import DriftReport


def drift_document(report: DriftReport) -> list[Block]:
    """Show the tests, accuracy where it is estimated, and what they mean."""
    *before, last = [_tests(report), *([_accuracy(report)] if report.accuracy else [])]
    title = Heading(f"{report.model} of {report.task}: {report.new}")
    return [title, *before, replace(last, notes=tuple(_notes(report)))]


def _tests(report: DriftReport) -> Table:
    columns = (
        name_column("test", least=0),
        TableColumn("statistic", style="{:.4f}", kind="cost", importance=ALWAYS),
        TableColumn("p", style="{:.4f}", kind="cost", importance=ALWAYS),
        TableColumn("p (Holm)", style="{:.4f}", kind="cost", importance=ALWAYS),
        TableColumn("columns", style="{:.0f}", kind="cost"),
        text_column("shift", importance=ALWAYS),
    )
    rows = []
    for test in report.tests:
        verdict = "yes" if test.adjusted <= report.alpha else "not seen"
        values: tuple[float | str, ...] = (
            test.name, test.statistic, test.p, test.adjusted, test.columns, verdict,
        )  # fmt: skip
        rows.append(TableRow(tuple(TableCell(value) for value in values), key=test.name))
    return Table("shift", "Shift tests", columns, tuple(rows))


def _accuracy(report: DriftReport) -> Table:
    columns = (name_column("accuracy", least=0), TableColumn("value", importance=ALWAYS, interval=True))
    lines = {"reference, by labels": report.known}
    lines |= {f"new, by {name}": each for name, each in report.accuracy.items()}
    lines |= {"new, by labels": report.true} if report.true else {}
    rows = [TableRow((TableCell(name), score_cell(each)), key=name) for name, each in lines.items()]
    return Table("accuracy", "Accuracy", columns, tuple(rows))


def _notes(report: DriftReport) -> Iterator[str]:
    yield f"reference: {report.reference}; {report.samples[0]} samples against {report.samples[1]} new ones"
    if report.shifted:
        yield f"SHIFT: seen at a rate of false alarms of {report.alpha:g} for all tests together"
    else:
        yield f"no shift seen at a rate of false alarms of {report.alpha:g}, which does not show that there is none"
    if report.accuracy:
        yield (
            "ATC, DoC: estimates without labels; their intervals are of sampling alone, and a model that stays sure "
            "while it errs deceives both"
        )
    if report.too_low:
        yield f"TOO LOW: an estimate lies below the accuracy that must be kept, {report.least_accuracy:g}"
    yield from report.notes
