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
        length = self.get_buffer("length")
        drawn = stack_tokens([self._row(text) for text in texts]).to(length.device)
        return TextTokens(drawn.tokens * length, drawn.mask, drawn.pooled * length)

    def _row(self, text: str) -> tuple[Tensor, Tensor]:
        """Draw on the host."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
        vector = torch.randn(self.width, generator=torch.Generator().manual_seed(seed))
        vector = vector / vector.norm()
        return vector[None], vector


class Attributes(nn.Module):
    """Control C4 for classes: their attributes, one token for each that a class has."""

    def __init__(self, names: Sequence[str], attributes: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.width = len(attributes[0])
        self._index = {name: index for index, name in enumerate(names)}
        self._rows = torch.tensor(attributes, dtype=torch.float32)
        self.register_buffer("device_of", torch.zeros(()), persistent=False)

    def forward(self, texts: Sequence[str]) -> TextTokens:
        """Look classes up by name."""
        return _one_hot_tokens([self._rows[self._index[text]] for text in texts], self.get_buffer("device_of").device)


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
        return _one_hot_tokens([self._row(text) for text in texts], self.get_buffer("device_of").device)

    def _row(self, text: str) -> Tensor:
        row = torch.zeros(self.width)
        row[[self._index.get(word, self.width - 1) for word in _words(text)]] = 1.0
        return row


def _one_hot_tokens(rows: Sequence[Tensor], device: torch.device) -> TextTokens:
    """Split each vector `[d]` of the host into a token an entry; the pooled vector has unit length.

    Only the entries go to the device, all at once: how many a text has is known on the host.
    """
    found = [row.nonzero().flatten() for row in rows]
    longest, width = max(1, *map(len, found)), len(rows[0])
    owners = torch.cat([torch.full_like(entries, text) for text, entries in enumerate(found)])
    places = torch.cat([torch.arange(len(entries)) for entries in found])
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    mask[owners, places] = True
    mask[:, 0] = True
    values = torch.cat([row[entries] for row, entries in zip(rows, found, strict=True)])
    scales = torch.cat([_length(row).expand(len(entries)) for row, entries in zip(rows, found, strict=True)])
    owners, places, entries = torch.stack([owners, places, torch.cat(found)]).to(device, non_blocking=True)
    values, scaled = torch.stack([values, values / scales]).to(device, non_blocking=True)
    tokens, pooled = torch.zeros(len(rows), longest, width, device=device), torch.zeros(len(rows), width, device=device)
    tokens[owners, places, entries] = values
    pooled[owners, entries] = scaled
    return TextTokens(tokens, mask.to(device, non_blocking=True), pooled)


def _length(row: Tensor) -> Tensor:
    """The length of a vector, 1 for one of zeros; through a Python number, as it always was."""
    return torch.tensor(math.sqrt(max(1.0, float((row**2).sum()))))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
