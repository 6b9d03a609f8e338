"""Which whole number was said in answer to a question: one, or none for sure."""

from __future__ import annotations

import re

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DIGITS = re.compile(r"(?<![\w.,/:])\d{1,9}(?!\w|[.,/:]\d)")
_DOUBT = frozenset(
    {
        "or",
        "to",
        "about",
        "around",
        "approximately",
        "maybe",
        "perhaps",
        "possibly",
        "probably",
        "least",
        "most",
        "over",
    }
)
"""With one of these beside it a number is none: "2 or 3", "at least two"."""


def parse_number(said: str) -> int | None:
    """Give the whole number that was said in digits, or in words up to twenty; None for none, several, or in doubt.

    "No" and "none" are 0 where nothing else is said.

    >>> parse_number("There are two of them."), parse_number("2 or 3"), parse_number("None.")
    (2, None, 0)
    """
    words = _WORD.findall(said.casefold())
    if words in (["none"], ["no"]):
        return 0
    found = {int(digits) for digits in _DIGITS.findall(said)}
    found |= {_WORDS.index(word) for word in words if word in _WORDS}
    if len(found) != 1 or any(word in _DOUBT or word.endswith(("n't", "n’t")) or word == "not" for word in words):
        return None
    return found.pop()
