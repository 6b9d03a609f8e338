"""Takes the text away, or gives a sample the image or the text of another: what a model still scores, it does without.

Empty, shuffled and random texts are the controls of modality use; exchanges are the permutations of the perceptual
score (Gat et al. 2021, arXiv 2106.10261), five of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from harness.perturb.perturbation import IMAGE, TEXT
from harness.perturb.text.meaning_check import encoder_folder
from harness.perturb.text.word_spans import find_words, rewrite_words

if TYPE_CHECKING:
    import numpy as np

_SHORTEST: Final = 3  # letters of a random word


@dataclass(frozen=True)
class EmptyText:
    """Leaves nothing of a text."""

    name: str = "empty-text"
    summary: str = "no text at all"
    family: str = "modality"
    modality: str = TEXT
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = False

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Return the empty text."""
        return ""


@dataclass(frozen=True)
class ShuffledText:
    """Puts the words of a text in another order; what stands between them stays where it is."""

    name: str = "shuffled-text"
    summary: str = "the words of the text in another order"
    family: str = "modality"
    modality: str = TEXT
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = False

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Shuffle, until the order is another one; a text without two different words stays as it is."""
        spans = find_words(text)
        words = [text[start:end] for start, end in spans]
        if len(set(words)) < 2:
            return text
        order = words
        while order == words:
            order = [words[place] for place in rng.permutation(len(words)).tolist()]
        return rewrite_words(text, spans, lambda number, _: order[number])


@dataclass(frozen=True)
class RandomText:
    """Replaces a text by random words of the same number of tokens.

    Tokens are WordPiece's (uncased English, 30,522 pieces, of the bundled encoder), and every random word is a single
    one; other tokenizers may count both a little differently.
    """

    name: str = "random-text"
    summary: str = "random words, as many tokens as the text has"
    family: str = "modality"
    modality: str = TEXT
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = False

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Draw the words, none of the text's own; a text without tokens stays as it is."""
        count = count_tokens(text)
        own = {text[start:end].lower() for start, end in find_words(text)}
        vocabulary = _single_words()
        chosen: list[str] = []
        while len(chosen) < count:
            word = vocabulary[int(rng.integers(len(vocabulary)))]
            if word not in own:
                chosen.append(word)
        return " ".join(chosen) if chosen else text


@dataclass(frozen=True)
class WrongImage:
    """Gives each sample the image of another one."""

    name: str = "wrong-image"
    summary: str = "the image of another sample"
    family: str = "modality"
    modality: str = IMAGE
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 1
    exchanged: str = IMAGE


@dataclass(frozen=True)
class WrongText:
    """Gives each sample the text of another one."""

    name: str = "wrong-text"
    summary: str = "the text of another sample"
    family: str = "modality"
    modality: str = TEXT
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 1
    exchanged: str = TEXT


def count_tokens(text: str) -> int:
    """Count the WordPiece tokens of a text, without the two that mark its ends."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(encoder_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=1)
def _single_words() -> tuple[str, ...]:
    """English words that are a token by themselves, in the order of the vocabulary."""
    numbers = _tokenizer().get_vocab()
    words = (word for word in sorted(numbers, key=numbers.__getitem__) if word.isascii() and word.isalpha())
    return tuple(word for word in words if len(word) >= _SHORTEST and word.islower())


TEXT_CONTROLS: Final = (EmptyText(), ShuffledText(), RandomText())
"""Controls of the text."""
EXCHANGES: Final = (WrongImage(), WrongText())
"""Permutations of the images, and of the texts, over the samples."""
