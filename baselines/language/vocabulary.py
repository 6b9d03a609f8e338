"""Vocabularies of caption decoders: words of the training captions, or pieces of a pretrained tokenizer.

Both hold only what the training captions contain, so the softmax runs over hundreds or thousands of
entries where a tokenizer has 30,000 to 250,000, most of which the task never needs. Both read captions
in lower case without punctuation, as the caption metrics do: no model spends its words on commas.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from harness.errors import UsageError

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SPLIT_WORD = re.compile(r"(?<=\w) ?(['’-]) ?(?=\w)")
"""What a tokenizer makes of hyphens and apostrophes, which stand only within words here."""


class Vocabulary(Protocol):
    """Turns captions into ids and back; `begin` and `end` are the ids around a caption."""

    size: int
    begin: int
    end: int

    @property
    def never(self) -> tuple[int, ...]:
        """Ids that a decoder must not answer with."""
        ...

    def encode(self, caption: str) -> tuple[int, ...]:
        """Turn a caption into ids, without begin and end."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into a lower-case caption, special ids left out."""
        ...


class WordVocabulary:
    """Lower-case words in the order of `frequent_words`; all others are unknown."""

    begin, end, unknown = 0, 1, 2
    never = (0, 2)

    def __init__(self, words: Sequence[str]) -> None:
        self.words = ["", "", "", *words]
        self.size = len(self.words)
        self._ids = {word: index for index, word in enumerate(self.words) if word}

    def encode(self, caption: str) -> tuple[int, ...]:
        """Turn a caption into the ids of its words."""
        return tuple(self._ids.get(word, self.unknown) for word in words_of(caption))

    def decode(self, ids: Sequence[int]) -> str:
        """Join words with spaces."""
        return " ".join(self.words[index] for index in ids if self.words[index])


class PieceVocabulary:
    """The pieces of a transformers tokenizer that occur in the training captions, renumbered.

    `kept` holds the tokenizer's own ids in ascending order (`occurring_pieces`): row i of a trimmed embedding is row
    `kept[i]` of the whole one.
    """

    def __init__(self, tokenizer: Any, kept: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        begin, end = _ends_of(tokenizer)
        self._special = frozenset({begin, end, *tokenizer.all_special_ids})
        self.kept = list(kept)
        self._new_ids = {old: new for new, old in enumerate(self.kept)}
        self.size = len(self.kept)
        self.begin, self.end = self._new_ids[begin], self._new_ids[end]
        self.never = tuple(new for new, old in enumerate(self.kept) if old in self._special and new != self.end)
        self._encoded: dict[str, tuple[int, ...]] = {}

    def encode(self, caption: str) -> tuple[int, ...]:
        """Turn a training caption into renumbered ids; pieces of no training caption are left out."""
        if caption not in self._encoded:
            pieces = self._tokenizer(plain_caption(caption), add_special_tokens=False)["input_ids"]
            self._encoded[caption] = tuple(self._new_ids[piece] for piece in pieces if piece in self._new_ids)
        return self._encoded[caption]

    def decode(self, ids: Sequence[int]) -> str:
        """Join pieces as the tokenizer does, in lower case."""
        pieces = [self.kept[index] for index in ids if self.kept[index] not in self._special]
        text: str = self._tokenizer.decode(pieces, clean_up_tokenization_spaces=True)
        return _SPLIT_WORD.sub(r"\1", " ".join(text.lower().split()))


def frequent_words(captions: Iterable[str], min_count: int = 1) -> list[str]:
    """List the words that are seen `min_count` times or more, the most frequent first."""
    counts = Counter(word for caption in captions for word in words_of(caption))
    return [word for word in sorted(counts, key=lambda word: (-counts[word], word)) if counts[word] >= min_count]


def occurring_pieces(tokenizer: Any, captions: Iterable[str]) -> list[int]:
    """List the ids of a tokenizer's pieces in captions, and of what begins and ends one, in ascending order."""
    plain = sorted({plain_caption(caption) for caption in captions})
    pieces = tokenizer(plain, add_special_tokens=False)["input_ids"] if plain else []
    return sorted(set(_ends_of(tokenizer)).union(*pieces))


def plain_caption(caption: str) -> str:
    """Write a caption in lower case without punctuation.

    >>> plain_caption("A red, two-horned circle.")
    'a red two-horned circle'
    """
    return " ".join(words_of(caption))


def words_of(caption: str) -> list[str]:
    """Split a caption into lower-case words without punctuation.

    >>> words_of("A red, two-horned circle.")
    ['a', 'red', 'two-horned', 'circle']
    """
    return _WORD.findall(caption.lower())


def _ends_of(tokenizer: Any) -> tuple[int, int]:
    """Ids of the pieces that begin and end a caption."""
    begin = _first_id(tokenizer, "bos_token_id", "cls_token_id", "eos_token_id")
    return begin, _first_id(tokenizer, "eos_token_id", "sep_token_id")


def _first_id(tokenizer: Any, *names: str) -> int:
    for name in names:
        value = getattr(tokenizer, name, None)
        if isinstance(value, int):
            return value
    raise UsageError(f"The tokenizer has none of {', '.join(names)}: captions could not begin or end. Take another.")
