"""Whole sentences in another style: formal, casual, passive, active, and translated there and back.

The five of Qiu et al. 2024 (MMRobustness, arXiv 2212.08044), who use neural style transfer; here the first four are
rules, so that they need no weights and do nothing that nobody can read. A text that no rule fits stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.translation import BackTranslation
from harness.perturb.text.voices import ACTIVE, PASSIVE
from harness.perturb.text.word_spans import capitalised, cased_like, find_words, uncapitalised

if TYPE_CHECKING:
    import numpy as np

_CONTRACTIONS: Final = (
    ("can't", "cannot"), ("won't", "will not"), ("isn't", "is not"), ("aren't", "are not"), ("wasn't", "was not"),
    ("weren't", "were not"), ("doesn't", "does not"), ("don't", "do not"), ("didn't", "did not"),
    ("hasn't", "has not"), ("haven't", "have not"), ("couldn't", "could not"), ("there's", "there is"),
    ("that's", "that is"), ("it's", "it is"), ("he's", "he is"), ("she's", "she is"), ("what's", "what is"),
    ("who's", "who is"), ("where's", "where is"), ("here's", "here is"), ("i'm", "I am"), ("you're", "you are"),
    ("we're", "we are"), ("they're", "they are"), ("i've", "I have"), ("we've", "we have"),
    ("they've", "they have"), ("let's", "let us"),
)  # fmt: skip
"""Casual and formal; read both ways."""
_STYLES: Final = (
    ("photo", "photograph"), ("photos", "photographs"), ("kid", "child"), ("kids", "children"), ("guy", "man"),
    ("guys", "men"), ("bike", "bicycle"), ("bikes", "bicycles"), ("motorbike", "motorcycle"), ("tv", "television"),
    ("phone", "telephone"), ("cellphone", "mobile telephone"), ("fridge", "refrigerator"), ("plane", "aeroplane"),
    ("planes", "aeroplanes"), ("kitty", "kitten"), ("mom", "mother"), ("dad", "father"),
    ("big", "large"), ("biggest", "largest"), ("bigger", "larger"), ("tiny", "very small"), ("lots of", "many"),
    ("a lot of", "many"), ("a bunch of", "a number of"),
    ("next to", "adjacent to"), ("on top of", "upon"), ("under", "beneath"), ("get", "obtain"), ("gets", "obtains"),
    ("really", "very"), ("pretty", "attractive"), ("nice", "pleasant"), ("someone", "a person"), ("came", "arrived"),
    ("has left", "has placed"), ("you can see", "one can observe"), ("made", "produced"),
    ("sitting", "seated"), ("looking at", "observing"), ("inside", "within"), ("near", "in the vicinity of"),
    ("a couple of", "a pair of"), ("little", "small"), ("pic", "picture"), ("outside of", "outside"),
)  # fmt: skip
"""Casual and formal."""
_ONLY_FORMAL: Final = (
    "get", "gets", "came", "really", "pretty", "nice", "under", "someone", "made", "a lot of", "has left", "tiny",
    "outside of",
)  # fmt: skip
"""Rows that must not be read from formal to casual."""
_REQUESTS: Final = {
    "show me": "please show me", "point at": "please indicate", "find": "please locate", "look at": "please observe",
}  # fmt: skip
"""Casual and formal, at the start of a text only."""
_ONLY_CASUAL: Final = (
    ("a picture of", "a pic of"), ("a photo of", "a pic of"), ("a photograph of", "a pic of"), ("woman", "lady"),
    ("women", "ladies"), ("an image of", "a pic of"), ("the picture shows", "the pic shows"),
)  # fmt: skip
_ABBREVIATIONS: Final = ("tv",)
_MANY_OF_ONE: Final = re.compile(r"(?:a )?lots? of (?!\w+s\b)", re.IGNORECASE)  # "a lot of snow": not "many"
_OPENERS: Final = ("So ", "Well, ", "Okay, so ", "Hey, ", "Look, ", "Oh, ")
_ENDERS: Final = (", you know", ", haha", ", right", " lol", "")


def make_formal(text: str, severity: int, rng: np.random.Generator) -> str:
    """Spell contractions out and take the formal words of pairs; a whole sentence also gets its full stop.

    The text stays as it is where nothing changes; nothing is random."""
    new = _exchange(text, _formal_words(), () if not _MANY_OF_ONE.search(text) else ("lots of", "a lot of"))
    for casual, formal in _REQUESTS.items():
        new = re.sub(rf"^\s*{casual}\b", formal, new, flags=re.IGNORECASE)
    if new == text:
        return text
    return capitalised(new) + ("." if new[-1:].isalnum() and len(find_words(new)) > 3 else "")


def make_casual(text: str, severity: int, rng: np.random.Generator) -> str:
    """Contract, take the casual words of pairs, and chat: an opener or a tag, and no full stop.

    A text without words stays as it is."""
    if not find_words(text):
        return text
    body = _exchange(text, _casual_words())
    said = body.rstrip()
    mark = said[-1:] if said.endswith(("?", "!")) else ""
    said = said.rstrip(".") if not mark else said[:-1]
    opener = _OPENERS[int(rng.integers(len(_OPENERS)))]
    ender = "" if mark else _ENDERS[int(rng.integers(len(_ENDERS)))]
    start = opener if text[:1].isupper() else opener.lower()
    return f"{start}{uncapitalised(said)}{ender}{mark}{body[len(body.rstrip()) :]}"


def _exchange(text: str, table: tuple[re.Pattern[str], dict[str, str]], but: Sequence[str] = ()) -> str:
    """Put the other wording in the place of each phrase that the table knows, with its capitals."""
    pattern, words = table

    def other(match: re.Match[str]) -> str:
        found = match[0].lower().replace("’", "'")
        model = "" if found in _ABBREVIATIONS else match[0].split()[0]
        return match[0] if found in but else cased_like(words[found], model)

    return pattern.sub(other, text)


@lru_cache(maxsize=1)
def _formal_words() -> tuple[re.Pattern[str], dict[str, str]]:
    return _table(dict((*_CONTRACTIONS, *_STYLES)))


@lru_cache(maxsize=1)
def _casual_words() -> tuple[re.Pattern[str], dict[str, str]]:
    back = {formal.lower(): casual for casual, formal in (*_CONTRACTIONS, *_STYLES) if casual not in _ONLY_FORMAL}
    return _table(back | dict(_ONLY_CASUAL))


def _table(words: dict[str, str]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(words, key=lambda phrase: (-len(phrase), phrase))
    phrases = "|".join(re.escape(phrase).replace("'", "['’]") for phrase in longest_first)
    # "isn't it" is a tag, and "is not it" no English.
    tag = r"(?<=n['’]t)\s+(?:(?:it|he|she|they|you|we|i)\s*(?:\?|$)|there\s*\?)"
    return re.compile(rf"(?<![\w'’-])(?:{phrases})(?![\w'’-]|{tag})", re.IGNORECASE), words


FORMAL: Final = Rewriting("formal", "contractions spelt out, formal words", "sentence", make_formal)
CASUAL: Final = Rewriting("casual", "contractions, casual words, chatty fillers", "sentence", make_casual)
SENTENCES: Final = (FORMAL, CASUAL, PASSIVE, ACTIVE, BackTranslation())
"""The five of the sentence family; `back-translation` is absent without weights."""
