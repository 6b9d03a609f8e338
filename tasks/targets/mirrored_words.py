"""Exchanges left and right in what is said of an image, for when the image is mirrored."""

from __future__ import annotations

import re

from harness.affine import Affine

_SIDES = re.compile(r"\b(?:left|right)(?=(?:most|wards?|hand)?\b)", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:the|a|to|from|on|his|her|its|their|my|your|far|upper|lower|top|bottom|front|back)[\s-]+$", re.IGNORECASE
)
_PERFECT = re.compile(r"\b(?:has|have|had|having|been)\s+$", re.IGNORECASE)
_NO_SIDE = {
    "left": re.compile(r"\s+(?:alone|open|over|behind|out|in|on|by|with|a|an|the|his|her|its|their)\b", re.IGNORECASE),
    "right": re.compile(
        r"\s+(?:next|in|on|at|by|near|beside|behind|before|after|above|below|under|over|up|down|into|through|out|outside"
        r"|away|there|here|now|angles?)\b",
        re.IGNORECASE,
    ),
}
"""What follows where a word is no side: "was left open", "right next to"."""


def moved_words(text: str, affine: Affine) -> str:
    """Exchange left and right in a text about a mirrored image; of other images it stays as it is.

    A rule of thumb tells sides from other meanings: "has left the room" and "right behind it" stay.

    >>> moved_words("the leftmost cat, right next to a wall", Affine((-1, 0, 1, 0, 1, 0), mirrored=True))
    'the rightmost cat, right next to a wall'
    """
    if not affine.mirrored:
        return text
    return _SIDES.sub(lambda found: _other(found[0]) if _is_side(text, found) else found[0], text)


def _is_side(text: str, found: re.Match[str]) -> bool:
    before, after = text[: found.start()], text[found.end() :]
    if _NAMED.search(before):
        return True
    side = found[0].lower()
    return not (_NO_SIDE[side].match(after) or (side == "left" and _PERFECT.search(before)))


def _other(side: str) -> str:
    other = "right" if side.lower() == "left" else "left"
    return other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other
