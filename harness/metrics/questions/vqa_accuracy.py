"""VQA accuracy: how far an answer agrees with those of ten people, as the VQA challenge computes it.

Antol et al. 2015, arXiv 1505.00468; the evaluation code of Goyal et al. 2017, arXiv 1612.00837. Of each person's answer
it asks how many of the *others* gave the answer: min(n / 3, 1), and averages over people. Answers are brought to one
form before, except where all people agree to the letter: then what was said must be exactly that. That exception,
and what becomes of marks within words, are the challenge's own, and kept so that scores can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

_ENOUGH = 3
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_POINT = re.compile(r"\.(?!\d)")
_MOST_POINTS = 32
"""The challenge's code removes no more than so many."""
_GROUPED_DIGITS = re.compile(r"\d,\d")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_VERBS = {
    "n't": "ai are ca did does do had has have is might must need ought sha should was were wo would could",
    "'ve": "could might must should would not they we what where who you",
    "'d": "he how it someone something there they where who you",
    "'ll": "how it somebody someone something they what who why you",
    "'s": "he how somebody someone that there what when where who why",
    "'re": "there they what why you",
    "n't've": "could had might should would",
    "'d've": "he it she somebody someone something there they we who you",
}  # fmt: skip
"""By their end, the words that people write without apostrophes."""
_IRREGULAR = {
    "maam": "ma'am", "oclock": "o'clock", "twas": "'twas", "yall": "y'all", "yall'll": "y'all'll",
    "y'allll": "y'all'll",
    "yall'd've": "y'all'd've", "y'alld've": "y'all'd've", "y'all'dve": "y'all'd've", "somebody'd": "somebodyd",
    "ow's'at": "'ow's'at", "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at",
}  # fmt: skip


def vqa_accuracy(said: str, answers: Sequence[str]) -> float:
    """Agreement of what was said with people's answers, 0..1; with fewer than two answers there are no others: 0.

    >>> vqa_accuracy("2", ["two", "2", "2", "3"] + ["4"] * 6)
    0.9
    """
    own, others = _one_line(said), [_one_line(answer) for answer in answers]
    if len(set(others)) > 1:
        own, others = vqa_normal_form(own), [vqa_normal_form(answer) for answer in others]
    agreeing = [answer == own for answer in others]
    total = sum(agreeing)
    credits = [min(1.0, (total - same) / _ENOUGH) for same in agreeing]
    return sum(credits) / len(credits) if credits else 0.0


def vqa_normal_form(answer: str) -> str:
    """Write an answer as the challenge compares it: no marks or articles, digits, lower case, apostrophes in place.

    >>> vqa_normal_form("The dogs' two balls, dont!"), vqa_normal_form("black/white")
    ("dogs' 2 balls don't", 'black white')
    """
    text = answer
    grouped = _GROUPED_DIGITS.search(answer) is not None
    for mark in _MARKS:
        beside_blank = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if beside_blank or grouped else " ")
    text = _POINT.sub("", text, count=_MOST_POINTS)
    words = (_number(word) for word in text.lower().split())
    return " ".join(_contractions().get(word, word) for word in words if word not in _ARTICLES)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _number(word: str) -> str:
    return "0" if word == "none" else str(_NUMBERS.index(word)) if word in _NUMBERS else word


@cache
def _contractions() -> Mapping[str, str]:
    """Words without some apostrophe, and how they are written."""
    return {**dict(_regular()), **_IRREGULAR}


def _regular() -> Iterator[tuple[str, str]]:
    for end, stems in _VERBS.items():
        for stem in stems.split():
            word = f"{stem}{end}"
            for place in range(len(word)):
                if word[place] == "'":
                    yield word[:place] + word[place + 1 :], word
