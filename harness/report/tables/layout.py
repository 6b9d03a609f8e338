"""Fits a table into a width: headings are folded first, then columns are dropped, then words are folded."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.report.tables.table import ALWAYS, Table, with_footnotes
from harness.text.outside_text import one_line

PIPE_WIDTH = 100
"""Columns of text that goes into a pipe or a file."""
_BETWEEN = 2
_HYPHEN = re.compile(r"(?<=[^\W\d]{2})-(?=[^\W\d]{2})")
_ARROW = re.compile(" (?=[↑↓])")
_GLUE = "\x00"
"""Stands where a heading may be broken behind a hyphen, and holds an arrow to its word; no text has one."""
_LONGEST_WORD = 32
"""Longer words are folded, too."""


@dataclass(frozen=True)
class TableLayout:
    """What of a table is drawn, texts heading first, how wide each column is, and the titles of those left out."""

    table: Table
    texts: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    dropped: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How wide all of it is."""
        return _total(self.widths)

    @property
    def notes(self) -> tuple[str, ...]:
        """The table's notes, and what was left out for want of room."""
        told = f"left out for want of room (--wide shows all): {', '.join(self.dropped)}"
        return (*self.table.notes, *([told] if self.dropped else []))


def laid_out(table: Table, width: int | None) -> TableLayout:
    """Choose columns and their widths; `width` None shows everything as wide as it is."""
    whole = with_footnotes(table.only(table.drawn))
    texts = _texts(whole)
    places = list(range(len(whole.columns)))
    least = [_least(whole, texts, place) for place in places]
    while width is not None and _total([least[place] for place in places]) > width:
        optional = [place for place in places if whole.columns[place].importance < ALWAYS]
        if not optional:
            break
        places.remove(min(optional, key=lambda place: (whole.columns[place].importance, -place)))
    dropped = tuple(column.title or column.name for p, column in enumerate(whole.columns) if p not in places)
    kept = _without_blank_ceilings(table.only([table.drawn[place] for place in places]))
    kept = with_footnotes(kept)  # numbered anew from 1
    texts = _texts(kept)
    widths = [max(map(places_of, column)) for column in zip(*texts, strict=True)]
    if width is not None:
        widths = _shrunk(widths, [_least(kept, texts, place) for place in range(len(places))], width)
    return TableLayout(kept, texts, tuple(widths), dropped)


def _without_blank_ceilings(table: Table) -> Table:
    """Leave out ceilings that are known in none of the columns that are shown."""
    rows = (row for row in table.rows if row.level != "ceiling" or any(c.value is not None for c in row.cells[1:]))
    return replace(table, rows=tuple(rows))


def _texts(table: Table) -> tuple[tuple[str, ...], ...]:
    rows = [tuple(map(one_line, row)) for row in table.texts()]
    once = [column.once for column in table.columns]
    told = [
        tuple("" if hide and text == before else text for hide, text, before in zip(once, row, above, strict=True))
        for above, row in pairwise(rows)
    ]
    return (rows[0], *told)


def _least(table: Table, texts: Sequence[Sequence[str]], place: int) -> int:
    """How narrow a column can be: its heading on several lines, its words too where they may be folded."""
    heading, *cells = (row[place] for row in texts)
    least, allowed = max(map(places_of, cells), default=0), table.columns[place].least
    if allowed:
        word = max((places_of(word) for cell in cells for word in cell.split(" ")), default=0)
        least = min(least, max(allowed, min(word, _LONGEST_WORD)))
    return max(least, *map(places_of, _breakable(heading).split(" ")))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _shrunk(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Take from the widest columns that can be narrower, until all fit or none can be."""
    found = list(widths)
    while _total(found) > width:
        able = [place for place, own in enumerate(found) if own > least[place]]
        if not able:
            break
        found[max(able, key=found.__getitem__)] -= 1
    return found


def places_of(text: str) -> int:
    """How many columns of a terminal a text takes: two for each wide letter, none for what stands upon another.

    >>> places_of("cat"), places_of("猫"), places_of("e\N{COMBINING ACUTE ACCENT}")
    (3, 2, 1)
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "FW") for c in text)


def folded(text: str, width: int, *, indent: str = "") -> list[str]:
    """Fold a text at its blanks, a word that is too long where it must be."""
    most = max(1, width if places_of(text) == len(text) else width // 2)
    return textwrap.wrap(text, most, subsequent_indent=indent, break_on_hyphens=False) or [""]


def folded_heading(text: str, width: int) -> list[str]:
    """Fold a heading at its blanks and behind its hyphens; an arrow stays with its word.

    >>> folded_heading("zero-shot-classification ↑", 17)
    ['zero-shot-', 'classification ↑']
    """
    if places_of(text) <= width:
        return [text]
    return [_whole(line) for line in folded(_breakable(text), width)]


def _breakable(heading: str) -> str:
    return _ARROW.sub(_GLUE, _HYPHEN.sub(f"-{_GLUE} ", heading))


def _whole(line: str) -> str:
    return line.replace(f"-{_GLUE} ", "-").removesuffix(_GLUE).replace(_GLUE, " ")
