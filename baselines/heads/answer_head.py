"""The head that answers questions: attention pooling over places, then scores of the answers that training knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.heads.label_head import AttentionPool, MeanPool
from harness.answers import chosen_option

_UNKNOWN_LOWER = 1.0
"""By how many nats an option that no training question had as its answer lies below the least likely known one."""


class AnswerHead(nn.Module):
    """Logits over the known answers; in training each accepted answer counts as often as it was given.

    The usual way to answer without writing (Antol et al. 2015, arXiv 1505.00468; Teney et al. 2018, arXiv 1708.02711).
    """

    loss_is_mean_over_samples = True

    def __init__(self, pool: nn.Module, scorer: ClassScorer, names: Sequence[str]) -> None:
        super().__init__()
        self.pool = pool
        self.scorer = scorer
        self.names = tuple(names)
        self._places = {_plain(name): place for place, name in reversed(list(enumerate(names)))}

    def forward(self, features: Tensor) -> Tensor:
        """Return logits `[B, A]` of features `[B, N, d]`."""
        return self.scorer(self.pool(features))

    def loss(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """The mean of `losses`."""
        return self.losses(logits, targets).mean()

    def losses(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Cross-entropy of each question with the shares of its known answers `[B]`; 0 where none is known."""
        shares = torch.zeros(len(targets), len(self.names))
        for row, target in enumerate(targets):
            for answer in target.accepted:
                place = self._places.get(_plain(answer))
                if place is not None:
                    shares[row, place] += 1
        shares /= shares.sum(dim=1, keepdim=True).clamp(min=1)
        return -(shares.to(logits.device, non_blocking=True) * logits.float().log_softmax(dim=-1)).sum(dim=-1)

    def answer(self, logits: Tensor) -> list[str]:
        """Return the likeliest answer of each question; nothing where several are equally likely."""
        rows: list[list[float]] = logits.double().tolist()
        found = [chosen_option(row) for row in rows]
        return ["" if place is None else self.names[place] for place in found]

    def answer_among(self, logits: Tensor, choices: Sequence[Sequence[str]]) -> list[str | list[float]]:
        """Return a log-probability for each option where a question has some, else the likeliest answer."""
        said: list[str | list[float]] = list(self.answer(logits))
        if not any(choices):
            return said
        rows: list[list[float]] = logits.double().log_softmax(dim=-1).tolist()
        for number, (row, options) in enumerate(zip(rows, choices, strict=True)):
            if options:
                least = min(row) - _UNKNOWN_LOWER
                places = [self._places.get(_plain(option)) for option in options]
                said[number] = [least if place is None else row[place] for place in places]
        return said

    def combine(self, one: Tensor, other: Tensor) -> Tensor:
        """Add two models' log-probabilities (control C6)."""
        return one.float().log_softmax(dim=-1) + other.float().log_softmax(dim=-1)


def _plain(answer: str) -> str:
    return " ".join(answer.casefold().split())


def build(shape: HeadShape) -> AnswerHead:
    """Pool by attention; the mean of the backbone's own features."""
    pool: nn.Module = MeanPool() if shape.bare else AttentionPool(shape.width)
    return AnswerHead(pool, shape.scorer, shape.classes.names)


answers = Head(
    "answers",
    "a score for each answer that training knows, or for each option of a question",
    ("answers",),
    "baselines.heads.answer_head:build",
)
