"""Finds the objects that a caption mentions, by a versioned list of words for COCO's 80 categories."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_TOKEN = re.compile(r"[a-z0-9]+|[.,;:!?()\"]")
_POSSESSIVE = re.compile(r"['\u2019]s\b|['\u2019]")
_JOINTS = ("of", "in")
"""In "glass of wine" it is the word before that stands in the plural."""
Phrase = tuple[str, ...]


@dataclass(frozen=True)
class ObjectWords:
    """What names an object of a category, by the first word: longest phrases first, None for those that name none.

    `modifiers` are words of people that say only what the object behind them is like ("baby elephant").
    """

    version: int
    categories: tuple[str, ...]
    phrases: Mapping[str, Sequence[tuple[Phrase, str | None]]]
    modifiers: frozenset[str]
    ambiguous: Mapping[str, Any]

    def mentions(self, caption: str, limit: int | None = None) -> list[str]:
        """Name the category of each mention, in the order of the caption; one that is said twice is there twice.

        With a `limit` only those that end within so many words, parted by white space: a phrase is never cut in two.

        >>> coco_words().mentions("A man eats two hot dogs, his baby elephant is on a baby chair.")
        ['person', 'hot dog', 'elephant', 'chair']
        >>> coco_words().mentions("a hot dog", limit=2)
        []
        """
        tokens = [(token, at) for at, word in enumerate(caption.split()) for token in caption_words(word)]
        words = [token for token, _ in tokens]
        found, place = [], 0
        while place < len(words):
            length, category = self._read(words, place)
            place += length
            if category is not None and (limit is None or tokens[place - 1][1] < limit):
                found.append(category)
        return found

    def _read(self, words: Sequence[str], place: int) -> tuple[int, str | None]:
        """How many words one phrase takes from a place on, and the category that it names."""
        word = words[place]
        if word in self.modifiers and self._longest(words, place)[0] < 2 and self._longest(words, place + 1)[1]:
            return 1, None
        if word == self.ambiguous["word"] and self._longest(words, place)[0] < 2:
            return 1, self.ambiguous["object"] if self._is_fruit(words, place) else None
        length, category = self._longest(words, place)
        return max(1, length), category

    def _longest(self, words: Sequence[str], place: int) -> tuple[int, str | None]:
        if place >= len(words):
            return 0, None
        for phrase, category in self.phrases.get(words[place], ()):
            if tuple(words[place : place + len(phrase)]) == phrase:
                return len(phrase), category
        return 0, None

    def _is_fruit(self, words: Sequence[str], place: int) -> bool:
        follows = (
            place + 1 == len(words) or not words[place + 1].isalnum() or words[place + 1] in self.ambiguous["after"]
        )
        return follows and (place == 0 or words[place - 1] in self.ambiguous["before"])


def caption_words(caption: str) -> list[str]:
    """Take a caption apart: words in lower case without possessive endings, and marks between which no phrase reaches.

    >>> caption_words("The catcher's hot-dog, eaten")
    ['the', 'catcher', 'hot', 'dog', ',', 'eaten']
    """
    return _TOKEN.findall(_POSSESSIVE.sub("", caption.lower()))


@cache
def coco_words() -> ObjectWords:
    """Read the list that comes with the package."""
    content = tomllib.loads((files("tasks.captioning") / "coco_objects.toml").read_text("utf-8"))
    return object_words_of(content)


def object_words_of(content: Mapping[str, Any]) -> ObjectWords:
    """Build from the content of such a file: each phrase in singular and plural."""
    irregular: Mapping[str, str] = content["plurals"]
    by_first: dict[str, dict[Phrase, str | None]] = {}
    listed = [(phrase, category) for category, phrases in content["objects"].items() for phrase in phrases]
    nothing = [(phrase, None) for phrase in content["nothing"]["phrases"]]
    for phrase, category in [*listed, *nothing]:
        words = tuple(caption_words(phrase))
        for form in (words, _plural(words, irregular)):
            by_first.setdefault(form[0], {})[form] = category
    ordered = {first: sorted(forms.items(), key=lambda item: -len(item[0])) for first, forms in by_first.items()}
    return ObjectWords(
        content["version"], tuple(content["objects"]), ordered, frozenset(content["modifiers"]["words"]),
        content["fruit_or_colour"],
    )  # fmt: skip


def only(words: ObjectWords, categories: Collection[str]) -> ObjectWords:
    """Keep the words of some categories; those of others name nothing then, and still hide what stands in them."""
    kept = {
        first: [(phrase, category if category in categories else None) for phrase, category in phrases]
        for first, phrases in words.phrases.items()
    }
    names = tuple(name for name in words.categories if name in categories)
    ambiguous = words.ambiguous if words.ambiguous["object"] in categories else {**words.ambiguous, "object": None}
    return ObjectWords(words.version, names, kept, words.modifiers, ambiguous)


def _plural(words: Phrase, irregular: Mapping[str, str]) -> Phrase:
    place = next((place - 1 for place, word in enumerate(words) if word in _JOINTS and place), len(words) - 1)
    return (*words[:place], plural_of(words[place], irregular), *words[place + 1 :])


def plural_of(word: str, irregular: Mapping[str, str]) -> str:
    """Put an English noun into the plural.

    >>> [plural_of(word, {"mouse": "mice"}) for word in ("mouse", "bus", "pony", "toy", "bench", "oranges")]
    ['mice', 'buses', 'ponies', 'toys', 'benches', 'oranges']
    """
    if word in irregular:
        return irregular[word]
    if word.endswith("s") and word not in ("bus", "minibus", "glass", "wineglass"):
        return word
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"
