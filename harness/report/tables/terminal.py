"""Draws a document on a terminal with rich: headings stand out, controls and ceilings step back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.tables.document import Block, Heading, Notes, note_lines
from harness.report.tables.layout import Layout, laid_out
from harness.report.tables.table import Table
from harness.text.outside_text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

_DIM = ("control", "ceiling")


def print_document(blocks: Sequence[Block], console: Console, *, wide: bool = False) -> None:
    """Draw blocks, tables as wide as the terminal; `wide`: as wide as they are, over the terminal's edge."""
    from rich.text import Text

    width = None if wide else console.width
    for number, block in enumerate(blocks):
        console.print("\n" * bool(number), end="")
        if isinstance(block, Heading):
            told = Text(one_line(block.text), "bold")
            console.print(told.append(f"  {one_line(block.beside)}" if block.beside else "", "not bold"))
            continue
        notes: Notes
        if isinstance(block, Table):
            layout = laid_out(block, width)
            console.print(_drawn(layout), soft_wrap=wide, width=sum(layout.widths) + 2 * len(layout.widths))
            notes = Notes(layout.notes)
            console.print("\n" * bool(layout.notes), end="")
        else:
            notes = block if isinstance(block, Notes) else Notes((block,))
        for line in note_lines(notes, width):
            console.print(Text(line, "" if isinstance(block, str) else "dim"), soft_wrap=True)


def _drawn(layout: Layout) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    heading, *rows = layout.texts
    for text, column, width in zip(heading, layout.table.columns, layout.widths, strict=True):
        drawn.add_column(
            Text(text), justify="left" if column.is_text else "right", width=width, overflow="fold",
        )  # fmt: skip
    for texts, row in zip(rows, layout.table.rows, strict=True):
        drawn.add_row(*map(Text, texts), style="dim" if row.level in _DIM else "")
    return drawn
