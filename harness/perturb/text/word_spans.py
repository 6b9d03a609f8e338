"""Where the words of a text are, in any script, and how one word takes the place of another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

Span = tuple[int, int]
"""First character and the one after the last."""

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+(?:['-][A-Za-z0-9]+)*")
_INNER = "'’-"  # part of a word between two letters
_JOINERS = "\u200c\u200d"  # Persian and Indic words, and emoji of several parts
_VOWELS = "aeiou"
_SPOKEN_WITH_A_CONSONANT = ("uni", "use", "usu", "euro", "one")
_SPOKEN_WITH_A_VOWEL = ("hour", "honest", "honour", "honor", "heir")


def find_words(text: str) -> list[Span]:
    """Find the words of a text: runs of letters, digits and what combines with them; `don't` is one word."""
    if text.isascii():
        return [match.span() for match in _ASCII_WORD.finditer(text)]
    spans: list[Span] = []
    place = 0
    while place < len(text):
        if not text[place].isalnum():
            place += 1
            continue
        end = _end_of_word(text, place)
        spans.append((place, end))
        place = end
    return spans


def _end_of_word(text: str, start: int) -> int:
    end = start + 1
    while end < len(text):
        if text[end].isalnum() or combines(text[end]):
            end += 1
        elif text[end] in _INNER and end + 1 < len(text) and text[end + 1].isalnum():
            end += 2
        else:
            break
    return end


def combines(character: str) -> bool:
    """Tell whether a character belongs to the one before it: accents, vowel signs, joiners, variation selectors."""
    return character in _JOINERS or unicodedata.category(character).startswith("M")


def plain_letters(text: str, span: Span) -> list[int]:
    """Places of the letters of a word that nothing combines with, so that they can be changed by themselves."""
    start, end = span
    return [
        place
        for place in range(start, end)
        if text[place].isalpha() and not (place + 1 < len(text) and combines(text[place + 1]))
    ]


def share_of_words(percent: int, count: int) -> int:
    """Count what a rate of `percent` means of `count` things: rounded down, at least one, at most all."""
    return min(count, max(1, percent * count // 100))


def rewrite_words(text: str, spans: Sequence[Span], new_word: Callable[[int, str], str]) -> str:
    """Put `new_word(number, word)` in the place of each word; what stands between words stays."""
    pieces: list[str] = []
    last = 0
    for number, (start, end) in enumerate(spans):
        pieces += [text[last:start], new_word(number, text[start:end])]
        last = end
    return "".join([*pieces, text[last:]])


def cased_like(word: str, model: str) -> str:
    """Give a lower-case word the capitals of another one: all, the first, or none."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def article_before(word: str) -> str:
    """Choose a or an by how a word is likely to be spoken."""
    lower = word.lower()
    if lower.startswith(_SPOKEN_WITH_A_VOWEL):
        return "an"
    return "an" if lower[:1] in _VOWELS and lower and not lower.startswith(_SPOKEN_WITH_A_CONSONANT) else "a"


def capitalised(text: str) -> str:
    """Make the first character upper case, where it has one."""
    return text[:1].upper() + text[1:]


def uncapitalised(text: str) -> str:
    """Make the first letter lower case, unless the word is an abbreviation or the pronoun I."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    return text if first[1:2].isupper() or first.rstrip(",.'") in ("I", "I'm") else text[:1].lower() + text[1:]
