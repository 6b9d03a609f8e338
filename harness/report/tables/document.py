"""What a command says: headings, sentences, notes and tables, written as text of a width, or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from harness.report.tables.layout import PIPE_WIDTH, TableLayout, folded, folded_heading, laid_out, places_of
from harness.report.tables.table import Table, with_footnotes
from harness.text.outside_text import markdown_text, one_line


@dataclass(frozen=True)
class Heading:
    """What stands above tables, and a remark beside it."""

    text: str
    beside: str = ""


@dataclass(frozen=True)
class Notes:
    """Lines below a table; those that hold commands are not folded, so that they can be copied."""

    lines: tuple[str, ...]
    fold: bool = True


Block: TypeAlias = Heading | Notes | Table | str
"""A `str` is a sentence of its own."""
_LEAST = 20
"""Notes are not folded into less."""


def document_text(blocks: Sequence[Block], style: str, width: int | None = PIPE_WIDTH) -> str:
    """Write blocks as text or as Markdown (`style` md); tables of text fit into `width`, None: as wide as they are.

    Tables with their notes fit; sentences stay whole, so that they can be searched for.
    """
    shown = with_content(blocks)
    if style == "md":
        return "\n\n".join(_markdown(block) for block in shown)
    return "\n\n".join("\n".join(_lines(block, width)) for block in shown)


def with_content(blocks: Sequence[Block]) -> list[Block]:
    """Leave out sentences and notes that are empty."""
    return [block for block in blocks if (block.lines if isinstance(block, Notes) else block)]


def _markdown(block: Block) -> str:
    if isinstance(block, Table):
        return markdown_table(block)
    if isinstance(block, Notes):
        return "\n".join(f"- {markdown_text(line)}" for line in block.lines)
    if isinstance(block, Heading):
        return f"**{markdown_text(block.text)}**" + (f"  {markdown_text(block.beside)}" if block.beside else "")
    return markdown_text(block)


def markdown_table(table: Table) -> str:
    """Draw all columns, notes below; text from outside cannot end a cell or a line, nor bring markup."""
    shown = with_footnotes(table.only(table.drawn))
    heading, *rows = ([markdown_text(text) for text in row] for row in shown.texts())
    rule = ["---" if column.is_text else "---:" for column in shown.columns]
    lines = [f"| {' | '.join(row)} |" for row in (heading, *rows)]
    drawn = "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])
    notes = _markdown(Notes(shown.notes))
    return f"{drawn}\n\n{notes}" if notes else drawn


def _lines(block: Block, width: int | None) -> Iterator[str]:
    if isinstance(block, Table):
        layout = laid_out(block, width)
        yield from aligned_lines(layout)
        if layout.notes:
            yield ""
            yield from note_lines(Notes(layout.notes), width)
    elif isinstance(block, Notes):
        yield from map(one_line, block.lines)
    elif isinstance(block, Heading):
        yield "  ".join(one_line(text) for text in (block.text, block.beside) if text)
    else:
        yield one_line(block)


def note_lines(notes: Notes, width: int | None) -> Iterator[str]:
    """Write notes, folded to a width where they may be."""
    for line in map(one_line, notes.lines):
        yield from [line] if width is None or not notes.fold else folded(line, max(width, _LEAST), indent="  ")


def aligned_lines(layout: TableLayout) -> Iterator[str]:
    """Draw without any box: words to the left, numbers to the right, a rule below the heading."""
    yield from heading_lines(layout)
    for row in layout.texts[1:]:
        yield from row_lines(layout, row)


def heading_lines(layout: TableLayout) -> Iterator[str]:
    """Draw the heading, words that are on fewer lines at the bottom, and the rule."""
    folds = [folded_heading(text, width) for text, width in zip(layout.texts[0], layout.widths, strict=True)]
    lines = max(map(len, folds))
    yield from _side_by_side(layout, [[""] * (lines - len(fold)) + fold for fold in folds])
    yield "-" * layout.width


def row_lines(layout: TableLayout, row: Sequence[str]) -> Iterator[str]:
    """Draw one row, on several lines where its texts are folded."""
    return _side_by_side(layout, [folded(text, width) for text, width in zip(row, layout.widths, strict=True)])


def _side_by_side(layout: TableLayout, folds: Sequence[Sequence[str]]) -> Iterator[str]:
    for texts in zip_longest(*folds, fillvalue=""):
        padded = []
        for text, width, column in zip(texts, layout.widths, layout.table.columns, strict=True):
            room = " " * (width - places_of(text))
            padded.append(text + room if column.is_text else room + text)
        yield "  ".join(padded).rstrip()
