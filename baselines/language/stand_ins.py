"""What stands in for the language model in the controls: vectors without content, attributes, bags of words."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.language.text_tokens import TextSource, TextTokens, stack_tokens

_WORD = re.compile(r"[^\W_]+")


class RandomVectors(nn.Module):
    """Control C3: each text becomes one random vector as long as the language model's, the same each time."""

    def __init__(self, source: TextSource, like: Sequence[str]) -> None:
        super().__init__()
        self.width = source.width
        with torch.no_grad():
            length = source(list(like)).pooled.norm(dim=1).mean()
        self.register_buffer("length", length.reshape(()))

    def forward(self, texts: Sequence[str]) -> TextTokens:
        """Draw by the digest of the text."""
        return stack_tokens([self._row(text) for text in texts])

    def _row(self, text: str) -> tuple[Tensor, Tensor]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
        vector = torch.randn(self.width, generator=torch.Generator().manual_seed(seed))
        vector = vector.to(self.get_buffer("length").device) / vector.norm() * self.get_buffer("length")
        return vector[None], vector


class Attributes(nn.Module):
    """Control C4 for classes: their attributes, one token for each that a class has."""

    rows: Tensor

    def __init__(self, names: Sequence[str], attributes: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.width = len(attributes[0])
        self._index = {name: index for index, name in enumerate(names)}
        self.register_buffer("rows", torch.tensor(attributes, dtype=torch.float32), persistent=False)

    def forward(self, texts: Sequence[str]) -> TextTokens:
        """Look classes up by name."""
        return stack_tokens([_one_hot_tokens(self.rows[self._index[text]]) for text in texts])


class BagOfWords(nn.Module):
    """Control C4 for free text: which words of the training texts are in it, without a language model."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        words = sorted({word for text in texts for word in _words(text)})
        self._index = {word: index for index, word in enumerate(words)}
        self.width = len(words) + 1  # the last entry stands for words that were never read
        self.register_buffer("device_of", torch.zeros(()), persistent=False)

    def forward(self, texts: Sequence[str]) -> TextTokens:
        """Mark the words of each text."""
        return stack_tokens([self._row(text) for text in texts])

    def _row(self, text: str) -> tuple[Tensor, Tensor]:
        row = self.get_buffer("device_of").new_zeros(self.width)
        row[[self._index.get(word, self.width - 1) for word in _words(text)]] = 1.0
        return _one_hot_tokens(row)


def _one_hot_tokens(row: Tensor) -> tuple[Tensor, Tensor]:
    """Split a vector into a token an entry; the pooled vector has unit length."""
    entries = row.nonzero().flatten()
    tokens = torch.zeros(len(entries), len(row), device=row.device)
    tokens[torch.arange(len(entries)), entries] = row[entries]
    return tokens, row / math.sqrt(max(1.0, float((row**2).sum())))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
