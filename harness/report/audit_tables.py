"""An audit of data as tables, and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.audit.found import Audit, SplitAudit
from harness.report.page.palette import palette_css
from harness.report.page.policy import policy_without_scripts
from harness.report.tables.document import Block, Heading, Notes
from harness.report.tables.html import templates_in
from harness.report.tables.table import (
    ALWAYS,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
    without_empty_columns,
)

_HERE = Path(__file__).parent
_FILES, _CLASSES = 20, 10


def audit_document(audit: Audit) -> list[Block]:
    """What was found, the most important first."""
    none = "Nothing was found that bears on scores."
    return [
        Heading(f"{audit.data} as {audit.task} reads it", f"digest {audit.digest[:16]}"),
        Notes(tuple(audit.findings)) if audit.findings else none,
        *(block for table in audit_tables(audit) for block in (Heading(table.title), table)),
    ]


def audit_tables(audit: Audit) -> list[Table]:
    """The tables that have rows."""
    tables = (_split_table(audit), _guess_table(audit), _class_table(audit), _pair_table(audit), _file_table(audit))
    return [without_empty_columns(table)[0] for table in tables if table.rows]


def render_audit_page(audit: Audit) -> str:
    """Render; all text from outside is escaped, and the page's policy lets nothing run and nothing be fetched."""
    from markupsafe import Markup

    style = palette_css() + (_HERE / "page" / "page.css").read_text(encoding="utf-8")
    page: Any = templates_in(_HERE).get_template("audit_page.html.jinja")
    return str(
        page.render(audit=audit, tables=audit_tables(audit), style=Markup(style), policy=policy_without_scripts(style))
    )


def _table(name: str, title: str, columns: tuple[TableColumn, ...], rows: Iterator[tuple[Any, ...]]) -> Table:
    filled = tuple(TableRow(tuple(map(TableCell, row)), key=str(row[0])) for row in rows)
    return Table(name, title, columns, filled)


def _number(name: str, title: str, style: str = "{:,.0f}") -> TableColumn:
    return TableColumn(name, title, kind="cost", style=style, importance=ALWAYS)


def _split_table(audit: Audit) -> Table:
    columns = (
        name_column("split", least=12), _number("samples", "samples"), _number("images", "images"),
        _number("unreadable", "unreadable"), _number("odd", "odd"),
        _number("ratio", "commonest : rarest class", "{:.1f}"), _number("differing", "answers that differ"),
        _number("agreement", "people agree", "{:.3f}"),
    )  # fmt: skip
    return _table("splits", "Splits", columns, map(_split_row, audit.splits))


def _split_row(split: SplitAudit) -> tuple[Any, ...]:
    ratio = split.balance.ratio if split.balance else None
    differing = len(split.disagreement.differing)
    return (
        split.name, split.samples, split.images, len(split.unreadable), len(split.odd), ratio, differing,
        split.disagreement.agreement,
    )  # fmt: skip


def _guess_table(audit: Audit) -> Table:
    columns = (
        name_column("split", least=12), text_column("from", importance=ALWAYS), _number("score", "score", "{:.3f}"),
        text_column("metric", importance=ALWAYS), text_column("how", importance=ALWAYS, least=40),
    )  # fmt: skip
    rows = ((s.name, g.source, g.score, g.metric, g.how) for s in audit.splits for g in s.guesses)
    return _table("guesses", "Guesses without an image", columns, rows)


def _class_table(audit: Audit) -> Table:
    columns = (name_column("split", least=12), text_column("class", importance=ALWAYS), _number("count", "count"))
    return _table("classes", f"Classes, the {_CLASSES} commonest and rarest", columns, _class_rows(audit))


def _class_rows(audit: Audit) -> Iterator[tuple[Any, ...]]:
    for split in audit.splits:
        counts = sorted((split.balance.counts if split.balance else {}).items(), key=lambda each: -each[1])
        shown = counts if len(counts) <= 2 * _CLASSES else counts[:_CLASSES] + counts[-_CLASSES:]
        yield from ((split.name, name, count) for name, count in shown)


def _pair_table(audit: Audit) -> Table:
    columns = (
        name_column("split", least=12), text_column("image", importance=ALWAYS, least=30),
        text_column("looks like", importance=ALWAYS, least=30), text_column("of", importance=ALWAYS),
        _number("bits", "bits of 128 that differ"),
    )  # fmt: skip
    rows = ((s.second, str(p.second), str(p.first), s.first, p.bits) for s in audit.shared for p in s.pairs)
    return _table("pairs", "Images that look alike in two splits", columns, rows)


def _file_table(audit: Audit) -> Table:
    columns = (
        name_column("split", least=12), text_column("file", importance=ALWAYS, least=30),
        text_column("why", importance=ALWAYS, least=30),
    )  # fmt: skip
    rows = (
        (split.name, path, why)
        for split in audit.splits
        for found in (split.unreadable, split.odd)
        for path, why in list(found.items())[:_FILES]
    )
    return _table("files", f"Files that cannot be read or are odd, {_FILES} of each at most", columns, rows)
