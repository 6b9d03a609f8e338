"""Damage to single letters: typing and reading errors, and letters inserted, deleted, replaced or swapped.

Severity s damages 10 s % of the words, and 30 % of the letters of each, both rounded down and at least one: about 3,
6, 9, 12 and 15 % of a long text's letters. These are the steps of Qiu et al. 2024 (MMRobustness, arXiv 2212.08044;
their 5 % a level of the words by nlpaug, 30 % of the letters) taken two at a time: short texts have too few words
for the smaller steps to differ.

Words of four letters and more are damaged; shorter ones only where a text has nothing else. Digits never are, as
another number is another meaning, nor is a letter that an accent or vowel sign combines with. What cannot be damaged
(no letters; a single letter to be deleted or swapped; no letter that the table knows) stays as it is. The check of
meaning is not asked for: a sentence encoder reads a misspelt word worse than people do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.word_spans import Span, find_words, plain_letters, share_of_words

if TYPE_CHECKING:
    import numpy as np

WORD_PERCENT: Final = (10, 20, 30, 40, 50)
"""Share of the words that are damaged, by severity."""
LETTER_PERCENT: Final = 30
"""Share of the letters of such a word."""
_SHORTEST: Final = 4
_ANY: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!@#$%^&*()_+"  # as nlpaug draws from
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OCR: Final[Mapping[str, str]] = {
    "a": "oe", "b": "6h", "c": "eo", "d": "oa", "e": "c", "f": "t", "g": "9q", "h": "bn", "i": "1l", "j": "i",
    "k": "x", "l": "1I", "m": "n", "n": "r", "o": "0", "q": "g9", "r": "n", "s": "5", "t": "f7", "u": "v", "v": "u",
    "w": "v", "x": "k", "y": "v", "z": "2",
    "A": "4", "B": "8", "C": "G", "D": "O0", "E": "F", "F": "P", "G": "6C", "H": "N", "I": "l1", "J": "I", "K": "X",
    "L": "I", "M": "N", "N": "H", "O": "0D", "P": "F", "Q": "O0", "R": "P", "S": "5", "T": "7", "U": "V", "V": "U",
    "W": "V", "X": "K", "Y": "V", "Z": "2",
}  # fmt: skip
"""What a reading machine takes a printed letter for."""

Damage = Callable[[list[str], int, "np.random.Generator"], None]
"""Changes the letter at a place of a text that is a list of characters."""


Effective = Callable[[str, int, Span], bool]
"""Whether damage has an effect on a place of a text, in a word."""


def damage_words(
    text: str, severity: int, rng: np.random.Generator, *, damage: Damage, has_effect: Effective, fewest_letters: int
) -> str:
    """Damage 10 % of the words times the severity."""
    words = find_words(text)
    places = _places(text, words, has_effect, fewest_letters)
    if not places:
        return text
    characters = list(text)
    count = min(len(places), share_of_words(WORD_PERCENT[severity - 1], len(words)))
    for word in sorted(rng.permutation(len(places))[:count].tolist()):
        own = places[word]
        for place in _apart(rng.permutation(own).tolist())[: share_of_words(LETTER_PERCENT, len(own))]:
            damage(characters, place, rng)
    return "".join(characters)


def _places(text: str, words: Sequence[Span], has_effect: Effective, fewest_letters: int) -> list[list[int]]:
    """Places that can be damaged, by word; of short words only where there is no long one."""
    of_words = [plain_letters(text, word) for word in words]
    places = [
        [place for place in letters if has_effect(text, place, word)] if len(letters) >= fewest_letters else []
        for word, letters in zip(words, of_words, strict=True)
    ]
    long = [own for own, letters in zip(places, of_words, strict=True) if own and len(letters) >= _SHORTEST]
    return long or [own for own in places if own]


def _apart(places: Sequence[int]) -> list[int]:
    """Leave out places next to an earlier one, so that no damage is undone by the next."""
    chosen: list[int] = []
    for place in places:
        if all(abs(place - other) > 1 for other in chosen):
            chosen.append(place)
    return chosen


def keyboard_neighbours(letter: str) -> str:
    """List the letters around one on a QWERTY keyboard, in its case; empty for all but a to z.

    >>> keyboard_neighbours("g"), keyboard_neighbours("Q")
    ('fhtyvb', 'WA')
    """
    for row, letters in enumerate(_ROWS):
        column = letters.find(letter.lower())
        if len(letter) == 1 and column >= 0:
            beside = letters[max(column - 1, 0) : column] + letters[column + 1 : column + 2]
            above = _ROWS[row - 1][column : column + 2] if row > 0 else ""
            below = _ROWS[row + 1][max(column - 1, 0) : column + 1] if row < 2 else ""
            found = beside + above + below
            return found.upper() if letter.isupper() else found
    return ""


def _draw(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _type_wrong(characters: list[str], place: int, rng: np.random.Generator) -> None:
    characters[place] = _draw(keyboard_neighbours(characters[place]), rng)


def _read_wrong(characters: list[str], place: int, rng: np.random.Generator) -> None:
    characters[place] = _draw(_OCR[characters[place]], rng)


def _insert(characters: list[str], place: int, rng: np.random.Generator) -> None:
    characters[place] = _draw(_ANY, rng) + characters[place]


def _delete(characters: list[str], place: int, rng: np.random.Generator) -> None:
    characters[place] = ""


def _replace(characters: list[str], place: int, rng: np.random.Generator) -> None:
    characters[place] = _draw([other for other in _ANY if other != characters[place]], rng)


def _swap(characters: list[str], place: int, rng: np.random.Generator) -> None:
    """Swap a letter and the next one; capitals stay where they are."""
    one, other = characters[place], characters[place + 1]
    first = other.upper() if one.isupper() else other.lower()
    second = one.upper() if other.isupper() else one.lower()
    characters[place : place + 2] = [first, second] if len(first) == len(second) == 1 else [other, one]


def _always(text: str, place: int, word: Span) -> bool:
    return True


def _is_on_keyboard(text: str, place: int, word: Span) -> bool:
    return bool(keyboard_neighbours(text[place]))


def _is_misread(text: str, place: int, word: Span) -> bool:
    return text[place] in _OCR


def _differs_from_next(text: str, place: int, word: Span) -> bool:
    following = place + 1
    plain = following in plain_letters(text, (place, word[1]))
    return plain and text[place].lower() != text[following].lower()


def _characters(name: str, summary: str, damage: Damage, has_effect: Effective, fewest_letters: int = 1) -> Rewriting:
    rewrite = partial(damage_words, damage=damage, has_effect=has_effect, fewest_letters=fewest_letters)
    return Rewriting(name, summary, "character", rewrite, (1, 2, 3, 4, 5), keeps_meaning=False)


CHARACTERS: Final = (
    _characters("typo-keyboard", "letters mistyped as their neighbours on a keyboard", _type_wrong, _is_on_keyboard),
    _characters("typo-ocr", "letters misread as ones that look alike", _read_wrong, _is_misread),
    _characters("char-insert", "random characters inserted into words", _insert, _always),
    _characters("char-delete", "letters left out of words", _delete, _always, 2),
    _characters("char-replace", "letters replaced by random characters", _replace, _always),
    _characters("char-swap", "neighbouring letters swapped", _swap, _differs_from_next, 2),
)
"""The six of the character family, severities 1 to 5."""
