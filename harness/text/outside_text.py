"""Makes text from outside safe to show: names, captions and messages of data, plugins and records made elsewhere.

Whatever a terminal, a page in Markdown or a spreadsheet would obey rather than show is written as an escape
(`\\u001b`), which is also one of JSON: escaping a document of JSON leaves it the same document.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1 (ECMA-48)
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings and isolates of direction (UAX #9)
    "\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # not to be seen
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # half a character, and what is none: neither UTF-8 nor XML holds them
)
_MARKUP = re.compile(r"[\\|`*]|(?<=\])[(:]|^(?=(?:#{1,6}|[-+])(?: |$)|~~~|---|===|___)")
"""Code, emphasis, the end of a cell, links and their targets; at the beginning: headings, lists, fences, rules."""
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_FORMULA = ("=", "@", "+", "-", "\uff1d", "\uff20", "\uff0b", "\uff0d")
"""What lets a spreadsheet compute a cell, full-width forms included."""


def visible(text: str) -> str:
    """Escape every character that acts instead of being seen; tabs and line ends stay, the latter as line feeds.

    >>> print(visible("cat\\x1b[2J"))
    cat\\u001b[2J
    """
    return _OBEYED.sub(lambda found: _escape(found[0]), text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Put text on one line, single blanks between its words, and escape as `visible` does."""
    return visible(" ".join(text.split()))


def markdown_text(text: str) -> str:
    """Let text stand in a line or a table's cell of Markdown: no HTML, no link, no picture, no end of the cell."""
    marked = _MARKUP.sub(lambda found: f"\\{found[0]}", one_line(text))
    return "".join(_HTML.get(sign, sign) for sign in marked)


def csv_cell(value: object) -> object:
    """Let no text be a formula of a spreadsheet; numbers and None stay what they are.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value
    plain = visible(value)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) and not _is_number(plain) else plain


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Write rows as CSV, each cell as `csv_cell` gives it; the last line ends, too."""
    import csv
    import io

    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([[csv_cell(value) for value in row] for row in rows])
    return stream.getvalue()


def _escape(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
