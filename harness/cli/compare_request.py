"""`bench compare A B`: resolve both, compare, and print or write what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.cli.options import tell
from harness.cli.shown import show_document
from harness.errors import StoreError, UsageError
from harness.files import replace_atomically
from harness.judge.compare.comparison import Comparison, Wanted, compare
from harness.judge.select_records import select_every_task, select_pairs
from harness.records.rescore import DataPlace
from harness.records.store import Store
from harness.text.outside_text import visible

_STYLES = {".md": "md", ".json": "json", ".txt": "text", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class CompareRequest:
    """What the command line asks for; `out` decides the style by its suffix."""

    a: str
    b: str
    results: str
    task: str | None = None
    style: str = "text"
    out: Path | None = None
    wanted: Wanted = field(default_factory=Wanted)


def run_comparison(request: CompareRequest, place: DataPlace, *, wide: bool = False) -> list[Comparison]:
    """Compare, show what was found or write it to `out`, and return it.

    Raises BenchError for what cannot be resolved, compared or written.
    """
    from harness.report.comparison_tables import comparison_document, render_comparison

    style = request.style if request.out is None else _style_of(request.out)
    store = Store(request.results)
    lacking: dict[str, str] = {}
    if request.task == "all":
        pairs, lacking = select_every_task(request.a, request.b, store)
    else:
        pairs = select_pairs(request.a, request.b, store, request.task)
    found = [compare(a, b, place, request.wanted) for a, b in pairs]
    if request.out is None and style == "json":
        tell(render_comparison(found, style))
        return found
    if request.out is None:
        without = [f"{task}: not compared: {why}" for task, why in lacking.items()]
        show_document([*comparison_document(found), *without], style, wide=wide)
        return found
    if style == "html":
        from harness.report.compare_page import render_compare_page

        content = render_compare_page(found)
    else:
        content = visible(render_comparison(found, style, None)) + "\n"
    try:
        with replace_atomically(request.out) as temporary:
            temporary.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"Cannot write --out {request.out}: {error.strerror}. Give another file.") from None
    tell(f"Wrote {request.out} ({request.out.stat().st_size / 1e3:.0f} kB)")
    return found


def _style_of(out: Path) -> str:
    style = _STYLES.get(out.suffix.lower())
    if style is None:
        raise UsageError(f"--out {out}: unknown suffix '{out.suffix}'. Take .html, .md, .json or .txt.")
    return style
