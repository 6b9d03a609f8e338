"""Pairs of words that mean the same by two witnesses at once: METEOR's paraphrases and WordNet's synonyms.

METEOR's table (pivoted through translations, Denkowski & Lavie 2014) holds pairs that are in use but also much that
is none ("morning", "future"); WordNet holds true synonyms of rare senses. A pair that both have, in both directions
of the table and in the same form of the word, is seldom wrong. Both files come with the pycocoevalcap package and are
read from there: nothing of them is kept in this repository. One pass over the table takes about two seconds, so what
it finds is remembered in the cache.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.metrics.captions.java_archives import meteor_jar, paraphrase_table
from harness.storage.content import file_digest
from harness.storage.remembered import Remembered, name_of_content

LEAST_PROBABILITY: Final = 0.01
"""Of a paraphrase, in each direction; the table itself was cut there."""
_SYNSETS: Final = "synonym/english.synsets"
_ROW_LINES: Final = 3  # a probability, a phrase, its paraphrase
_CHUNK_BYTES: Final = 1 << 20
_SHORTEST: Final = 3
_ENDINGS: Final = (
    ("s", "", "s"), ("es", "", "s"), ("ies", "y", "s"), ("ed", "", "ed"), ("ed", "e", "ed"), ("ing", "", "ing"),
    ("ing", "e", "ing"), ("er", "", "er"), ("er", "e", "er"), ("est", "", "est"), ("est", "e", "est"),
)  # fmt: skip
_DOUBLING: Final = ("ed", "ing")  # "stopped" is of "stop"
_TELLING_ENDINGS: Final = ("ing", "ed", "s", "ly", "er", "est")

Synsets = Mapping[str, frozenset[str]]
Thesaurus = Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def load_thesaurus() -> Thesaurus:
    """Return the synonyms of lower-case English words, the most probable first; made once a process at most.

    Below `digests_remembered` it is made once a cache, for these two files and this module's code.
    """
    memory = Remembered.here("thesaurus")
    if memory.cache is None:
        return _thesaurus()
    files = (Path(__file__), paraphrase_table(), meteor_jar())
    name = name_of_content(*(file_digest(path) for path in files))
    known = memory.find([name]).get(name)
    if known is not None:
        return {word: tuple(others) for word, others in json.loads(known).items()}
    made = _thesaurus()
    memory.keep({name: json.dumps(made).encode()})
    return made


def _thesaurus() -> Thesaurus:
    synsets = _read_synsets()
    rows = {(word, other): probability for probability, word, other in _single_words(paraphrase_table())}
    pairs = [
        (word, -probability, other)
        for (word, other), probability in rows.items()
        if probability >= LEAST_PROBABILITY
        and rows.get((other, word), 0.0) >= LEAST_PROBABILITY
        and same_meaning(word, other, synsets)
    ]
    found: dict[str, list[str]] = {}
    for word, _, other in sorted(pairs):
        found.setdefault(word, []).append(other)
    return {word: tuple(others) for word, others in found.items()}


def same_meaning(word: str, other: str, synsets: Synsets) -> bool:
    """Whether two words have a synset in common, in the same form: two plurals, two past tenses, ..."""
    if any(word.endswith(ending) != other.endswith(ending) for ending in _TELLING_ENDINGS):
        return False  # "walk" and "walking" are one noun, but seldom fit the same place
    return any(
        form == other_form and base != other_base and bool(synsets[base] & synsets[other_base])
        for form, base in _bases(word, synsets)
        for other_form, other_base in _bases(other, synsets)
    )


def _bases(word: str, synsets: Synsets) -> Iterator[tuple[str, str]]:
    """Yield (ending, base form) of all readings of a word that WordNet knows."""
    if word in synsets:
        yield "", word
    for ending, restored, form in _ENDINGS:
        base = word.removesuffix(ending) + restored
        if word.endswith(ending) and base in synsets:
            yield form, base
        if word.endswith(ending) and form in _DOUBLING and base[-2:-1] == base[-1:] and base[:-1] in synsets:
            yield form, base[:-1]


def _read_synsets() -> Synsets:
    """WordNet 3.0's synset numbers by word, as METEOR's jar holds them: a word and its synsets in two lines each."""
    with zipfile.ZipFile(meteor_jar()) as jar:
        lines = jar.read(_SYNSETS).decode().split("\n")
    return {
        word: frozenset(numbers.split())
        for word, numbers in zip(lines[::2], lines[1::2], strict=False)
        if word.isascii() and word.isalpha() and len(word) >= _SHORTEST
    }


def _single_words(table: Path) -> Iterator[tuple[float, str, str]]:
    """Yield the rows of the table whose two sides are single words of a to z."""
    rest = b""
    with gzip.open(table, "rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            data = rest + chunk
            text = np.frombuffer(data, dtype=np.uint8)
            ends = np.flatnonzero(text == ord("\n"))
            ends = ends[: len(ends) // _ROW_LINES * _ROW_LINES]
            starts = np.concatenate([[0], ends + 1])
            yield from _rows(data, text, starts)
            rest = data[int(starts[-1]) :]


def _rows(data: bytes, text: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp]) -> Iterator[tuple[float, str, str]]:
    """Yield single words of whole rows; `starts` [3 R + 1] are where lines begin."""
    letters = (text >= ord("a")) & (text <= ord("z"))
    others = np.concatenate([[0], np.cumsum(~letters)])
    first, last = starts[:-1], starts[1:] - 1
    is_word = (others[last] == others[first]) & (last - first >= _SHORTEST)
    for row in np.flatnonzero(is_word[1::_ROW_LINES] & is_word[2::_ROW_LINES]).tolist():
        number, phrase, paraphrase = (
            data[first[line] : last[line]].decode() for line in range(_ROW_LINES * row, _ROW_LINES * (row + 1))
        )
        yield float(number), phrase, paraphrase
