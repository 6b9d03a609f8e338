"""Takes the text away, or gives a sample the image or the text of another: what a model still scores, it does without.

Empty, shuffled and random texts are the controls of modality use; exchanges are the permutations of the perceptual
score (Gat et al. 2021, arXiv 2106.10261), five of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from harness.perturb.perturbation import IMAGE, TEXT
from harness.perturb.text.meaning_check import encoder_folder
from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.word_spans import find_words, rewrite_words

if TYPE_CHECKING:
    import numpy as np

_SHORTEST: Final = 3  # letters of a random word


def leave_nothing(text: str, severity: int, rng: np.random.Generator) -> str:
    """Return the empty text."""
    return ""


def shuffle_words(text: str, severity: int, rng: np.random.Generator) -> str:
    """Put the words in another order; what stands between them, and a text without two different words, stays."""
    spans = find_words(text)
    words = [text[start:end] for start, end in spans]
    if len(set(words)) < 2:
        return text
    order = words
    while order == words:
        order = [words[place] for place in rng.permutation(len(words)).tolist()]
    return rewrite_words(text, spans, lambda number, _: order[number])


def draw_words(text: str, severity: int, rng: np.random.Generator) -> str:
    """Draw as many random words as the text has tokens, none of its own; a text without tokens stays as it is.

    Tokens are WordPiece's (uncased English, 30,522 pieces, of the bundled encoder), and every random word is a single
    one; other tokenizers may count both a little differently.
    """
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
class OtherSamples:
    """Gives each sample the image or the text of another one (`harness.perturb.perturbation.Exchange`)."""

    name: str
    summary: str
    exchanged: str
    modality: str
    family: str = "modality"
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 1


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


_control = partial(Rewriting, family="modality", keeps_meaning=False)
EMPTY_TEXT: Final = _control("empty-text", "no text at all", rewrite=leave_nothing)
SHUFFLED_TEXT: Final = _control("shuffled-text", "the words of the text in another order", rewrite=shuffle_words)
RANDOM_TEXT: Final = _control("random-text", "random words, as many tokens as the text has", rewrite=draw_words)
TEXT_CONTROLS: Final = (EMPTY_TEXT, SHUFFLED_TEXT, RANDOM_TEXT)
"""Controls of the text."""
EXCHANGES: Final = (
    OtherSamples("wrong-image", "the image of another sample", IMAGE, IMAGE),
    OtherSamples("wrong-text", "the text of another sample", TEXT, TEXT),
)
"""Permutations of the images, and of the texts, over the samples."""
