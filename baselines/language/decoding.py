"""Greedy and beam search over any caption decoder, each row independent of the others.

Every row starts from the same begin id and grows in step, so there is no padding on the left; a row
that has ended goes on with its end id, which no other row can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from baselines.language.vocabulary import Vocabulary


class DecodingState(Protocol):
    """What a decoder remembers between two steps."""

    def select(self, rows: Tensor) -> None:
        """Keep these rows `[R]` (int64), in this order; a row may be taken more than once."""
        ...


class Steps(Protocol):
    """The part of a caption decoder that searching needs."""

    vocabulary: Vocabulary

    def start(self, visual: Tensor | None) -> DecodingState:
        """Take in visual tokens `[R, N, d]`."""
        ...

    def step(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Read one id a row `[R]` and return the logits `[R, size]` of the next."""
        ...


@dataclass(frozen=True)
class Search:
    """How answers are searched: at most `max_tokens` ids, `beams` of 1 is greedy."""

    max_tokens: int = 30
    beams: int = 1


def search_captions(decoder: Steps, visual: Tensor | None, rows: Tensor, search: Search) -> list[str]:
    """Answer for each row; `rows` is an int64 tensor `[B]` that gives batch size and device."""
    if search.beams == 1:
        found = _greedy(decoder, visual, rows, search.max_tokens)
    else:
        found = _beam(decoder, visual, rows, search)
    end = decoder.vocabulary.end
    return [decoder.vocabulary.decode(_until(ids, end)) for ids in found.tolist()]


def _greedy(decoder: Steps, visual: Tensor | None, rows: Tensor, max_tokens: int) -> Tensor:
    vocabulary = decoder.vocabulary
    state = decoder.start(visual)
    tokens = torch.full_like(rows, vocabulary.begin)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    found = []
    for position in range(max_tokens):
        logits = _allowed(decoder.step(tokens, state), vocabulary, position)
        tokens = torch.where(ended, vocabulary.end, logits.argmax(dim=-1))
        found.append(tokens)
        ended = ended | (tokens == vocabulary.end)
        if bool(ended.all()):
            break
    return torch.stack(found, dim=1)


def _beam(decoder: Steps, visual: Tensor | None, rows: Tensor, search: Search) -> Tensor:
    """Keep the best `beams` beginnings of every row; the answer has the best mean log-probability an id."""
    vocabulary, beams, count = decoder.vocabulary, search.beams, len(rows)
    state = decoder.start(None if visual is None else visual.repeat_interleave(beams, dim=0))
    scores = torch.full((count, beams), -torch.inf, device=rows.device)
    scores[:, 0] = 0.0  # all beams of a row are alike at first: only one may branch
    tokens = torch.full((count * beams,), vocabulary.begin, dtype=torch.int64, device=rows.device)
    found = torch.empty((count, beams, 0), dtype=torch.int64, device=rows.device)
    ended = torch.zeros((count, beams), dtype=torch.bool, device=rows.device)
    for position in range(search.max_tokens):
        logits = _allowed(decoder.step(tokens, state), vocabulary, position)
        steps = logits.log_softmax(dim=-1).view(count, beams, -1)
        steps = torch.where(ended[..., None], _only(vocabulary.end, steps), steps)
        scores, flat = (scores[..., None] + steps).flatten(1).topk(beams, dim=1)
        parents, chosen = flat // vocabulary.size, flat % vocabulary.size
        found = torch.cat([found.gather(1, parents[..., None].expand_as(found)), chosen[..., None]], dim=2)
        ended = ended.gather(1, parents) | (chosen == vocabulary.end)
        if bool(ended.all()):
            break
        state.select((parents + beams * torch.arange(count, device=rows.device)[:, None]).flatten())
        tokens = chosen.flatten()
    lengths = (found != vocabulary.end).sum(dim=2).clamp(min=1) + ended
    best = (scores / lengths).argmax(dim=1)
    return found[torch.arange(count, device=rows.device), best]


def _allowed(logits: Tensor, vocabulary: Vocabulary, position: int) -> Tensor:
    """Rule out special ids, and an end before the first word."""
    banned = [*vocabulary.never, vocabulary.end] if position == 0 else list(vocabulary.never)
    if banned and vocabulary.size > len(banned):
        logits = logits.float().index_fill(-1, torch.tensor(banned, device=logits.device), -torch.inf)
    return logits.float()


def _only(index: int, like: Tensor) -> Tensor:
    """Log-probabilities under which only one id can follow, at no cost."""
    row = torch.full_like(like, -torch.inf)
    row[..., index] = 0.0
    return row


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
