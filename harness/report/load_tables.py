"""What a load found, as a table of its runs and what must be known to read it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.tables.document import Block, Heading
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column
from harness.stats.load_summary import LoadReport, LoadRun

_SHOWN = ("p50", "p90", "p99", "p99.9")


def load_document(report: LoadReport) -> list[Block]:
    """Show each run in a row."""
    return [Heading(report.target), _table(report)]


def _table(report: LoadReport) -> Table:
    limit = f"within {1000 * report.limits.latency_s:g} ms"
    columns = (
        name_column("load", least=0),
        TableColumn("queries", kind="cost", style="{:.0f}", importance=60),
        TableColumn("answered/s", kind="cost", style="{:.1f}", importance=90),
        TableColumn("goodput/s", kind="cost", style="{:.1f}", importance=90),
        TableColumn(limit, style="{:.3f}", importance=ALWAYS, interval=True),
        *(TableColumn(name, f"{name} ms", "cost", style="{:.1f}", factor=1e3, importance=80) for name in _SHOWN),
        TableColumn("late p99", "late p99 ms", "cost", style="{:.2f}", factor=1e3, importance=85),
        text_column("state", importance=ALWAYS),
    )
    return Table("load", "Load", columns, tuple(map(_row, report.runs)), notes=tuple(_notes(report)))


def _row(run: LoadRun) -> TableRow:
    name = run.scenario if run.rate is None else f"{run.scenario} {run.rate:g}/s"
    percentiles = (run.percentiles[each] for each in _SHOWN)
    cells = [
        TableCell(name), TableCell(run.queries), TableCell(run.throughput), TableCell(run.goodput),
        TableCell(run.within.value, run.within),
        *(TableCell(word="–") if each is None else TableCell(each.value, each) for each in percentiles),
        TableCell(word="–") if run.lateness_p99 is None else TableCell(run.lateness_p99), TableCell(_state(run)),
    ]  # fmt: skip
    return TableRow(tuple(cells), key=name)


def _state(run: LoadRun) -> str:
    counts = {"lost": run.missing, "failed": run.failed, "turned away": run.shed}
    found = ["void"] if run.void else []
    return ", ".join([*found, *(f"{count} {what}" for what, count in counts.items() if count)]) or "ok"


def _notes(report: LoadReport) -> Iterator[str]:
    yield "latency counts from when a query was due; goodput: answered within the limit; –: too few queries for it"
    for run in report.runs:
        name = run.scenario if run.rate is None else f"{run.rate:g}/s"
        if run.void:
            yield f"{name} is void: {run.void}"
        if run.lost:
            yield f"{name}: {run.lost}"
        if run.failed:
            yield f"{name}: {run.failed} failed ({', '.join(f'{why} {n}' for why, n in run.reasons.items())})"
    if report.knee is not None:
        yield _knee(report)


def _knee(report: LoadReport) -> str:
    knee, share = report.knee, f"{report.limits.share:.0%} within {1000 * report.limits.latency_s:g} ms"
    assert knee is not None
    if knee.rate is None:
        return f"knee: none of these rates keeps {share}"
    low = "below all of these" if knee.low is None else f"{knee.low:g}/s"
    high = "above all of these" if knee.high is None else f"{knee.high:g}/s"
    return f"knee: {knee.rate:g}/s is the highest of these rates that keeps {share} (95 % interval: {low} to {high})"
