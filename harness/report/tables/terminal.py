"""Draws a document on a terminal: headings stand out, notes, controls and ceilings step back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.report.tables.document import Block, Heading, Notes, heading_lines, note_lines, row_lines, with_content
from harness.report.tables.layout import laid_out
from harness.report.tables.table import Table
from harness.text.outside_text import one_line

if TYPE_CHECKING:
    from rich.console import Console

_DIM = ("control", "ceiling")


def print_document(blocks: Sequence[Block], console: Console, *, wide: bool = False) -> None:
    """Draw blocks, tables as wide as the terminal; `wide`: as wide as they are, over the terminal's edge."""
    from rich.text import Text

    width = None if wide else console.width
    for number, block in enumerate(with_content(blocks)):
        if number:
            console.print()
        for line, style in _styled(block, width):
            console.print(Text(line, style), soft_wrap=True)


def _styled(block: Block, width: int | None) -> Iterator[tuple[str, str]]:
    if isinstance(block, Heading):
        yield one_line(f"{block.text}  {block.beside}"), "bold"
    elif isinstance(block, Table):
        layout = laid_out(block, width)
        yield from ((line, "bold") for line in heading_lines(layout))
        for texts, row in zip(layout.texts[1:], layout.table.rows, strict=True):
            yield from ((line, "dim" if row.level in _DIM else "") for line in row_lines(layout, texts))
        if layout.notes:
            yield "", ""
            yield from ((line, "dim") for line in note_lines(Notes(layout.notes), width))
    else:
        notes = block if isinstance(block, Notes) else Notes((block,))
        yield from ((line, "dim" if isinstance(block, Notes) else "") for line in note_lines(notes, width))
