"""What a command says: headings, sentences, notes and tables, written as text of a width, or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from harness.report.tables.layout import PIPE_WIDTH, Layout, folded, laid_out
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


def document_text(blocks: Sequence[Block], style: str, width: int | None = PIPE_WIDTH) -> str:
    """Write blocks as text or as Markdown (`style` md); tables of text fit into `width`, None: as wide as they are."""
    if style == "md":
        return "\n\n".join(_markdown(block) for block in blocks if not _is_empty(block))
    return "\n\n".join("\n".join(_lines(block, width)) for block in blocks if not _is_empty(block))


def _is_empty(block: Block) -> bool:
    return not (block.lines if isinstance(block, Notes) else block)


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
        yield from note_lines(block, width)
    elif isinstance(block, Heading):
        yield (
            one_line(f"{block.text}  {block.beside}")
            if not block.beside
            else (f"{one_line(block.text)}  {one_line(block.beside)}")
        )
    else:
        yield from note_lines(Notes((block,)), width)


def note_lines(notes: Notes, width: int | None) -> Iterator[str]:
    """Write notes, folded to a width where they may be."""
    for line in map(one_line, notes.lines):
        yield from [line] if width is None or not notes.fold else folded(line, width, indent="  ")


def aligned_lines(layout: Layout) -> Iterator[str]:
    """Draw without any box: words to the left, numbers to the right, a rule below the heading."""
    left = [column.is_text for column in layout.table.columns]
    for number, row in enumerate(layout.texts):
        cells = [folded(text, width) for text, width in zip(row, layout.widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            padded = (
                text.ljust(width) if is_left else text.rjust(width)
                for text, width, is_left in zip(line, layout.widths, left, strict=True)
            )  # fmt: skip
            yield "  ".join(padded).rstrip()
        if number == 0:
            yield "-" * (sum(layout.widths) + 2 * (len(layout.widths) - 1))
