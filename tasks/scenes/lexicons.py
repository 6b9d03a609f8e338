"""Words: how the values of the factors are said, in training text and in synonyms held out from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from tasks.scenes import factors

FACTORS: Final = ("size", "pose", "colour", "pattern", "part", "shape")
"""The factors of an object that can be said, in the order of English adjectives; the shape is the noun."""

GENERIC_NOUNS: Final = ("object", "thing", "shape")
"""Nouns for an object whose shape is left out."""
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")

_TRAINING: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "shape": {shape: (shape,) for shape in factors.SHAPES},
    "colour": {colour: (colour,) for colour in factors.COLOURS},
    "pattern": {pattern: (pattern,) for pattern in factors.PATTERNS},
    "part": {part: (part,) for part in factors.PARTS if part != "plain"},
    "size": {"small": ("small", "little"), "medium": ("medium", "mid-sized"), "large": ("large", "big")},
    "pose": {"tilted": ("tilted", "leaning")},
    "ground": {ground: (ground,) for ground in factors.GROUNDS},
    "ground_colour": {colour: (colour,) for colour in (*factors.COLOURS, "grey")},
    "sky": {sky: (sky,) for sky in (*factors.SKIES, factors.NIGHT_SKY)},
}
_SYNONYM: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "shape": {
        "circle": ("disc", "roundel"), "square": ("box", "quadrangle"), "triangle": ("wedge", "trigon"),
        "star": ("asterisk", "pentagram"), "cross": ("plus", "crucifix"), "heart": ("valentine", "cardioid"),
        "crescent": ("moon", "sickle"), "diamond": ("rhombus", "lozenge"), "arrow": ("pointer", "dart"),
        "drop": ("teardrop", "droplet"),
    },
    "colour": {
        "red": ("crimson", "scarlet"), "orange": ("tangerine", "amber"), "yellow": ("golden", "lemon"),
        "green": ("emerald", "jade"), "blue": ("azure", "cobalt"), "purple": ("violet", "mauve"),
        "pink": ("rose", "fuchsia"), "brown": ("chestnut", "tan"), "black": ("ebony", "jet"),
        "white": ("ivory", "chalky"),
    },
    "pattern": {
        "solid": ("uniform", "unpatterned"), "striped": ("banded", "barred"),
        "dotted": ("spotted", "speckled"),
        "checkered": ("tiled", "chessboard"), "ringed": ("concentric", "looped"),
    },
    "part": {
        "horned": ("antlered", "tusked"), "holed": ("pierced", "perforated"), "haloed": ("crowned", "aureoled"),
    },
    "size": {"small": ("tiny", "petite"), "medium": ("moderate", "average"), "large": ("huge", "enormous")},
    "pose": {"tilted": ("slanted", "crooked")},
    "ground": {
        "grass": ("lawn", "meadow"), "sand": ("beach", "dunes"), "snow": ("frost", "ice"),
        "water": ("sea", "lake"), "stone": ("rock", "masonry"), "soil": ("earth", "dirt"),
    },
    "sky": {
        "clear": ("cloudless", "fair"), "cloudy": ("overcast", "clouded"), "sunset": ("evening", "twilight"),
        "stormy": ("thundery", "tempestuous"), "night": ("midnight", "nighttime"),
    },
}  # fmt: skip
_POST_NOUNS: Final = {  # what follows "with": the same values said as nouns
    "training": {
        "pattern": {"striped": "stripes", "dotted": "dots", "checkered": "checks", "ringed": "rings"},
        "part": {"horned": "horns", "holed": "a hole", "haloed": "a halo"},
    },
    "synonym": {
        "pattern": {"striped": "bands", "dotted": "spots", "checkered": "tiles", "ringed": "loops"},
        "part": {"horned": "antlers", "holed": "a perforation", "haloed": "an aureole"},
    },
}


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one way of speaking: factor -> value -> words, the first the usual one."""

    name: str
    words: Mapping[str, Mapping[str, tuple[str, ...]]]
    after_with: Mapping[str, Mapping[str, str]]
    generic_nouns: tuple[str, ...]


TRAINING: Final = Lexicon("training", _TRAINING, _POST_NOUNS["training"], GENERIC_NOUNS)
_SYNONYM["ground_colour"] = {**_SYNONYM["colour"], "grey": ("ashen",)}
SYNONYM: Final = Lexicon("synonym", _SYNONYM, _POST_NOUNS["synonym"], ("item", "figure"))
LEXICONS: Final = {lexicon.name: lexicon for lexicon in (TRAINING, SYNONYM)}


def plural(noun: str) -> str:
    """The regular plural of a noun of either lexicon."""
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    return noun + "s"


def article(next_word: str) -> str:
    """a or an, by the letter that follows (uniform is the one word here that is said with a consonant)."""
    return "an" if next_word[0] in "aeiou" and next_word != "uniform" else "a"


@cache
def meaning_of_words() -> dict[str, tuple[str, str]]:
    """Adjective or singular noun -> (factor, value) over both lexicons; generic nouns mean ("shape", "")."""
    table: dict[str, tuple[str, str]] = {}
    for lexicon in LEXICONS.values():
        for factor in FACTORS:
            for value, words in lexicon.words[factor].items():
                table.update(dict.fromkeys(words, (factor, value)))
        table.update(dict.fromkeys(lexicon.generic_nouns, ("shape", "")))
    return table


@cache
def meaning_of_plurals() -> dict[str, str]:
    """Plural noun -> shape over both lexicons; the empty string for a generic noun."""
    return {plural(word): value for word, (factor, value) in meaning_of_words().items() if factor == "shape"}


@cache
def meaning_after_with() -> dict[str, tuple[str, str]]:
    """What follows "with" -> (factor, value), over both lexicons."""
    return {
        phrase: (factor, value)
        for lexicon in LEXICONS.values()
        for factor, phrases in lexicon.after_with.items()
        for value, phrase in phrases.items()
    }


@cache
def meaning_of_surroundings(factor: str) -> dict[str, str]:
    """Word -> value for "ground", "ground_colour" or "sky", over both lexicons."""
    return {word: value for lx in LEXICONS.values() for value, words in lx.words[factor].items() for word in words}
