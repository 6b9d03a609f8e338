"""Other words: synonyms, insertion, deletion and swaps by EDA, and punctuation by AEDA.

Operations of Wei & Zou 2019 (EDA, arXiv 1901.11196) and Karimi et al. 2021 (AEDA, arXiv 2108.13230), as Qiu et al.
2024 (MMRobustness, arXiv 2212.08044) apply them to captions. Severity s changes 10 s % of the words, rounded down and
at least one: the rates that EDA was studied at, and twice the steps of Qiu et al., since short texts have too few
words for smaller ones to differ. Unlike EDA, capitals and punctuation stay, so that nothing but the words changes.

A text without words stays as it is. So does a text of one word where a word is deleted or swapped, one whose words
are all the same where they are swapped, and one of whose words none has a known synonym where those are replaced.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.synonyms import synonyms_of
from harness.perturb.text.word_spans import (
    Span,
    article_before,
    capitalised,
    cased_like,
    find_words,
    rewrite_words,
    share_of_words,
    uncapitalised,
)

if TYPE_CHECKING:
    import numpy as np

EDITED_WORD_PERCENT: Final = (10, 20, 30, 40, 50)
"""Share of the words that are changed, by severity."""
_MARKS: Final = ".,!?;:"
_FILLERS: Final = ("also", "indeed", "just", "quite", "really", "simply")
"""Inserted where no word has a known synonym."""
_CHOICES: Final = 3
"""A word is replaced by one of its so many best synonyms: later ones are of rarer senses."""


def replace_by_synonyms(text: str, severity: int, rng: np.random.Generator) -> str:
    """Replace 10 % of the words times the severity, if so many have synonyms; a and an follow."""
    words = find_words(text)
    known = [synonyms_of(text[start:end])[:_CHOICES] for start, end in words]
    possible = [number for number, synonyms in enumerate(known) if synonyms]
    if not possible:
        return text
    chosen = rng.permutation(possible)[: share_of_words(EDITED_WORD_PERCENT[severity - 1], len(words))].tolist()
    new = {number: known[number][int(rng.integers(len(known[number])))] for number in sorted(chosen)}

    def word_at(number: int, word: str) -> str:
        if number in new:
            return cased_like(new[number], word)
        if word.lower() in ("a", "an") and number + 1 in new:
            return cased_like(article_before(new[number + 1]), word[:1])
        return word

    return rewrite_words(text, words, word_at)


def insert_synonyms(text: str, severity: int, rng: np.random.Generator) -> str:
    """Insert 10 % more words times the severity, each before a random word."""
    words = find_words(text)
    if not words:
        return text
    known = [synonyms_of(text[start:end])[:_CHOICES] for start, end in words]
    pools = [synonyms for synonyms in known if synonyms] or [_FILLERS]
    inserted: dict[int, list[str]] = {}
    for _ in range(share_of_words(EDITED_WORD_PERCENT[severity - 1], len(words))):
        pool = pools[int(rng.integers(len(pools)))]
        inserted.setdefault(int(rng.integers(len(words))), []).append(pool[int(rng.integers(len(pool)))])

    def word_at(number: int, word: str) -> str:
        new = inserted.get(number, [])
        if number == 0 and new and word[:1].isupper():
            return " ".join([capitalised(new[0]), *new[1:], uncapitalised(word)])
        return " ".join([*new, word])

    return rewrite_words(text, words, word_at)


def leave_words_out(text: str, severity: int, rng: np.random.Generator) -> str:
    """Delete 10 % of the words times the severity, but not the last one that is left."""
    words = find_words(text)
    if len(words) < 2:
        return text
    count = min(share_of_words(EDITED_WORD_PERCENT[severity - 1], len(words)), len(words) - 1)
    chosen = sorted(rng.permutation(len(words))[:count].tolist(), reverse=True)
    shorter = text
    for number in chosen:
        start, end = _with_space(text, words[number])
        shorter = shorter[:start] + shorter[end:]
    return capitalised(shorter) if 0 in chosen and text[:1].isupper() else shorter


def swap_words(text: str, severity: int, rng: np.random.Generator) -> str:
    """Swap as many pairs as 10 % of the words times the severity; no word moves twice."""
    spans = find_words(text)
    words = [text[start:end] for start, end in spans]
    order = list(range(len(words)))
    free = rng.permutation(len(words)).tolist()
    for _ in range(share_of_words(EDITED_WORD_PERCENT[severity - 1], len(words))):
        pair = _differing_pair(free, words)
        if pair is None:
            break
        one, other = pair
        order[one], order[other] = other, one
        free = [number for number in free if number not in pair]
    moved = 0 if not order or order[0] == 0 or not words[0][:1].isupper() else order.index(0)

    def word_at(number: int, _: str) -> str:
        word = words[order[number]]
        if moved and number in (0, moved):  # the capital of a sentence stays in front
            return capitalised(word) if number == 0 else uncapitalised(word)
        return word

    return rewrite_words(text, spans, word_at)


def insert_punctuation(text: str, severity: int, rng: np.random.Generator) -> str:
    """Insert a mark of . , ! ? ; : before 10 % of the words times the severity (AEDA)."""
    words = find_words(text)
    if not words:
        return text
    chosen = rng.permutation(len(words))[: share_of_words(EDITED_WORD_PERCENT[severity - 1], len(words))].tolist()
    marks = {number: _MARKS[int(rng.integers(len(_MARKS)))] for number in sorted(chosen)}
    return rewrite_words(text, words, lambda number, word: f"{marks[number]} {word}" if number in marks else word)


def _with_space(text: str, span: Span) -> Span:
    """Take in the space before a word, or after it where it stands first."""
    start, end = span
    if start > 0 and text[start - 1] == " ":
        return start - 1, end
    return (start, end + 1) if start == 0 and text[end : end + 1] == " " else span


def _differing_pair(places: list[int], words: list[str]) -> tuple[int, int] | None:
    """Take the first two places whose words are not the same, whatever their capitals."""
    for later, place in enumerate(places):
        for other in places[later + 1 :]:
            if words[place].lower() != words[other].lower():
                return place, other
    return None


_word = partial(Rewriting, family="word", severities=(1, 2, 3, 4, 5))
WORD_SYNONYM: Final = _word("word-synonym", "words replaced by synonyms", rewrite=replace_by_synonyms)
WORD_INSERT: Final = _word("word-insert", "synonyms of the text's words inserted anywhere", rewrite=insert_synonyms)
WORD_DELETE: Final = _word("word-delete", "words left out", rewrite=leave_words_out)
WORD_SWAP: Final = _word("word-swap", "pairs of words that change places", rewrite=swap_words)
PUNCTUATION: Final = _word("punctuation", "random punctuation marks before words", rewrite=insert_punctuation)
WORDS: Final = (WORD_SYNONYM, WORD_INSERT, WORD_DELETE, WORD_SWAP, PUNCTUATION)
"""The five of the word family, severities 1 to 5."""
