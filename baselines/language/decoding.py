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

_ASKED_EVERY = 8


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
    vocabulary, banned = decoder.vocabulary, _banned(decoder.vocabulary, rows.device)
    state = decoder.start(visual)
    tokens = torch.full_like(rows, vocabulary.begin)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    found = []
    for position in range(max_tokens):
        logits = _allowed(decoder.step(tokens, state), banned, position)
        tokens = torch.where(ended, vocabulary.end, logits.argmax(dim=-1))
        found.append(tokens)
        ended = ended | (tokens == vocabulary.end)
        if _all_ended(ended, position, max_tokens):
            break
    return torch.stack(found, dim=1)


def _beam(decoder: Steps, visual: Tensor | None, rows: Tensor, search: Search) -> Tensor:
    """Keep the best `beams` beginnings of every row; the answer has the best mean log-probability an id."""
    vocabulary, beams, count = decoder.vocabulary, search.beams, len(rows)
    banned = _banned(vocabulary, rows.device)
    state = decoder.start(None if visual is None else visual.repeat_interleave(beams, dim=0))
    scores = torch.full((count, beams), -torch.inf, device=rows.device)
    scores[:, 0] = 0.0  # all beams of a row are alike at first: only one may branch
    tokens = torch.full((count * beams,), vocabulary.begin, dtype=torch.int64, device=rows.device)
    found = torch.empty((count, beams, 0), dtype=torch.int64, device=rows.device)
    ended = torch.zeros((count, beams), dtype=torch.bool, device=rows.device)
    for position in range(search.max_tokens):
        logits = _allowed(decoder.step(tokens, state), banned, position)
        steps = logits.log_softmax(dim=-1).view(count, beams, -1)
        steps = torch.where(ended[..., None], _only(vocabulary.end, steps), steps)
        scores, flat = (scores[..., None] + steps).flatten(1).topk(beams, dim=1)
        parents, chosen = flat // vocabulary.size, flat % vocabulary.size
        found = torch.cat([found.gather(1, parents[..., None].expand_as(found)), chosen[..., None]], dim=2)
        ended = ended.gather(1, parents) | (chosen == vocabulary.end)
        if _all_ended(ended, position, search.max_tokens):
            break
        state.select((parents + beams * torch.arange(count, device=rows.device)[:, None]).flatten())
        tokens = chosen.flatten()
    lengths = (found != vocabulary.end).sum(dim=2).clamp(min=1) + ended
    best = (scores / lengths).argmax(dim=1)
    return found[torch.arange(count, device=rows.device), best]


def _banned(vocabulary: Vocabulary, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Ids that cannot be answered, int64, None for none: at first, when an end is ruled out too, and later."""
    at_first, later = [*vocabulary.never, vocabulary.end], list(vocabulary.never)
    return tuple(  # type: ignore[return-value]
        torch.tensor(ids).to(device, non_blocking=True) if ids and vocabulary.size > len(ids) else None
        for ids in (at_first, later)
    )


def _allowed(logits: Tensor, banned: tuple[Tensor | None, Tensor | None], position: int) -> Tensor:
    """Rule out special ids, and an end before the first word."""
    ids = banned[0 if position == 0 else 1]
    return logits.float() if ids is None else logits.float().index_fill(-1, ids, -torch.inf)


def _all_ended(ended: Tensor, position: int, max_tokens: int) -> bool:
    """Tell whether no row goes on. A device is asked at every eighth id only: steps of ended rows change no answer."""
    if ended.device.type != "cpu" and ((position + 1) % _ASKED_EVERY or position + 1 == max_tokens):
        return False
    return bool(ended.all())


def _only(index: int, like: Tensor) -> Tensor:
    """Log-probabilities under which only one id can follow, at no cost."""
    row = torch.full_like(like, -torch.inf)
    row[..., index] = 0.0
    return row


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
