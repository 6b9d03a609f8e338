"""The LSTM captioner of "Show and Tell" (Vinyals et al. 2015, arXiv 1411.4555).

The image is fed once, as the first input; then words. Dropout on inputs and outputs as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.language.vocabulary import WordVocabulary


class LstmState:
    """Hidden and cell state `[1, R, width]` each."""

    def __init__(self, hidden: Tensor, cell: Tensor) -> None:
        self.hidden, self.cell = hidden, cell

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        self.hidden = self.hidden.index_select(1, rows)
        self.cell = self.cell.index_select(1, rows)


class LstmDecoder(nn.Module):
    """Mean of the visual tokens -> linear -> LSTM -> words."""

    def __init__(self, vocabulary: WordVocabulary, visual_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.image = nn.Sequential(nn.LayerNorm(visual_width), nn.Linear(visual_width, width))
        self.embedding = nn.Embedding(vocabulary.size, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, vocabulary.size)

    def forward(self, visual: Tensor | None, tokens: Tensor) -> Tensor:
        """Return logits `[B, T, size]` after each of the ids `[B, T]`."""
        assert visual is not None
        image = self.image(visual.mean(dim=1))[:, None]
        inputs = torch.cat([image, self.embedding(tokens)], dim=1)
        outputs, _ = self.lstm(self.dropout(inputs))
        logits: Tensor = self.head(self.dropout(outputs[:, 1:]))
        return logits

    def start(self, visual: Tensor | None) -> LstmState:
        """Feed the image."""
        assert visual is not None
        _, (hidden, cell) = self.lstm(self.image(visual.mean(dim=1))[:, None])
        return LstmState(hidden, cell)

    def step(self, tokens: Tensor, state: LstmState) -> Tensor:
        """Read one id a row `[R]`, return the logits `[R, size]` of the next."""
        inputs = self.embedding(tokens)[:, None]
        outputs, (state.hidden, state.cell) = self.lstm(inputs, (state.hidden, state.cell))
        logits: Tensor = self.head(outputs[:, 0])
        return logits
