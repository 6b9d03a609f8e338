"""The tables of a report as Markdown and as CSV: the same numbers, from the same values."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.page.contents import PagePart, Report
from harness.report.tables.document import markdown_table
from harness.report.tables.table import Table
from harness.report.tables.values import table_csv
from harness.text.outside_text import csv_text, markdown_text

_COLUMNS = (
    "task", "data", "data_digest", "split", "signature", "table", "row", "column", "value", "low", "high", "count",
    "text", "fingerprints",
)  # fmt: skip


def render_markdown(report: Report) -> str:
    """Write every table under its heading; numbers have three decimals, as in the terminal."""
    blocks = [f"# {markdown_text(report.title)}"]
    for task in report.tasks:
        blocks.append(f"## {markdown_text(task.task)}")
        for part in task.parts:
            blocks.append(f"### {markdown_text(part.title)}")
            if part.board.on_scenes:
                blocks.append("> Scenes is a rendered world: its numbers support claims about mechanisms only.")
            blocks += ["\n".join(f"- {markdown_text(note)}" for note in part.notes)] if part.notes else []
            for table in part.tables():
                blocks += [f"#### {markdown_text(table.title)}", markdown_table(table)]
    return "\n\n".join(blocks) + "\n"


def render_csv(report: Report) -> str:
    """Write one line a number, all tables in one file; values are whole, seconds and bytes where they are costs."""
    lines = [line for part in _parts(report) for table in part.tables() for line in _numbers(report, part, table)]
    return csv_text([_COLUMNS, *lines])


def render_csv_files(report: Report) -> dict[str, str]:
    """Write a file for each table, named by task, place and table; columns as on the page, with low, high, count."""
    files = {}
    for place, part in enumerate(_parts(report), start=1):
        for number, table in enumerate(part.tables(), start=1):
            files[f"{part.board.task}-{place}-{number:02}-{table.name}.csv"] = table_csv([table]) + "\n"
    return files


def _parts(report: Report) -> Iterator[PagePart]:
    return (part for task in report.tasks for part in task.parts)


def _numbers(report: Report, part: PagePart, table: Table) -> Iterator[list[object]]:
    first = part.board.first
    shared = [part.board.task, first.data, first.data_digest, first.split, first.signature, table.name]
    rows = report.provenance["rows"]
    for row in table.rows:
        for place in table.drawn[1:]:
            column, cell = table.columns[place], row.cells[place]
            e = cell.estimate
            bounds = [e.low, e.high, e.count] if e else [None, None, None]
            runs = [run for key in (cell.origin.rows if cell.origin else ()) for run in rows[key]["runs"]]
            if text := column.text(cell):
                name = f"{column.title or column.name} ({column.unit})" if column.unit else column.title or column.name
                told = text + (f". {cell.detail}" if cell.detail else "")
                yield [*shared, row.key, name, cell.number, *bounds, told, " ".join(runs)]
