"""Draws a table of words: in Markdown, or aligned for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from harness.text.outside_text import markdown_text, one_line


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Draw a Markdown table; text from outside cannot end a cell or a line, nor bring markup."""
    lines = ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in table]
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table[0]) - 1)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Draw a table for the terminal: the first column to the left, all others to the right."""
    plain = [[one_line(cell) for cell in row] for row in table]
    widths = [max(len(row[column]) for row in plain) for column in range(len(plain[0]))]
    lines = []
    for row in plain:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
