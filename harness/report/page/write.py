"""Writes a report where it was asked for: an HTML page, Markdown, CSV, or a folder of CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.files import replace_atomically
from harness.records.store import Store
from harness.report.page.contents import build_report
from harness.report.page.sources import ReportOptions, Sources, read_sources


def write_report(found: Sources | Sequence[Store], out: Path, options: ReportOptions | None = None) -> None:
    """Write to `out` by its suffix: .html, .md, .csv, or a folder of CSV files where it has none.

    Nothing is run: records are read, from several results folders as if they were one. Raises UsageError for another
    suffix, StoreError where there is no record, a broken one, or `out` cannot be written.
    """
    chosen = options or ReportOptions()
    suffix = out.suffix.lower()
    if suffix not in (".html", ".htm", ".md", ".csv", ""):
        raise UsageError(f"--out {out}: unknown suffix '{suffix}'. Take .html, .md, .csv, or a folder for CSV files.")
    sources = found if isinstance(found, Sources) else read_sources(found, chosen.tasks)
    report = build_report(sources, chosen)
    if suffix in (".html", ".htm"):
        from harness.report.page.page import render_page

        _write(out, render_page(report))
        return
    from harness.report.page.plain_formats import render_csv, render_csv_files, render_markdown

    if suffix == "":
        for name, content in render_csv_files(report).items():
            _write(out / name, content)
        return
    _write(out, render_markdown(report) if suffix == ".md" else render_csv(report))


def _write(path: Path, content: str) -> None:
    try:
        with replace_atomically(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"Cannot write --out {path}: {error.strerror}. Give another file.") from None
