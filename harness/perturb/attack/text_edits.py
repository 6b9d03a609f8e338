"""Edits of texts that raise a model's loss most, found greedily by its losses alone.

Greedy substitution under a budget, as in Jin et al. 2020 (TextFooler, arXiv 1907.11932) and Ebrahimi et al. 2018
(HotFlip, arXiv 1712.06751), with candidates drawn from the character and word perturbations at their mildest. Whether
an edited text still means the same is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from harness.perturb.attack.victim import Victim, attacked_part, black_box_losses, slices
from harness.perturb.text.characters import CHARACTERS
from harness.perturb.text.words import WORDS
from harness.protocols import SupportsForget
from harness.sample import Batch

SUBSTITUTIONS: Final[tuple[Any, ...]] = (*CHARACTERS, *WORDS)
"""What an edit may be: one draw of one of these at severity 1, a tenth of the words and at least one."""
WordedClasses = tuple[tuple[str, ...], ...]


@dataclass
class Edited:
    """Texts beside samples and the losses under them; `candidates` counts those that differed from the text."""

    texts: list[str | None]
    losses: Tensor
    candidates: int = 0


@dataclass
class Reworded:
    """Texts of classes and the mean loss under them; `candidates` counts what was tried."""

    texts: WordedClasses
    loss: float
    candidates: int = 0


def edit_once(
    victim: Victim, tokens: Tensor | None, edited: Edited, rngs: Sequence[np.random.Generator], draws: int = 1
) -> Edited:
    """Make the edit of each text that raises its sample's loss most, if any does.

    `tokens` are the visual tokens `[n, N, d]` of the victim's samples, None for a model without vision.
    """
    rows, tried = [], []
    for row, (text, rng) in enumerate(zip(edited.texts, rngs, strict=True)):
        options = text_candidates(text, rng, draws) if text else []
        rows += [row] * len(options)
        tried += options
    texts, losses = list(edited.texts), edited.losses.clone()
    for part in slices(len(rows), victim.batch_size):
        batch = _gather(victim.batch, tokens, rows[part], tried[part])
        with torch.no_grad():
            found = black_box_losses(victim.learner, batch)
        for row, text, loss in zip(rows[part], tried[part], found, strict=True):
            if bool(loss > losses[row]):
                texts[row], losses[row] = text, loss
    if isinstance(victim.learner, SupportsForget):
        victim.learner.forget()  # or memory would grow with every candidate
    return Edited(texts, losses, edited.candidates + len(rows))


def text_candidates(text: str, rng: np.random.Generator, draws: int = 1) -> list[str]:
    """Draw texts that are one edit away, each once, in the order of the perturbations."""
    drawn = [edit.apply(text, 1, rng) for _ in range(draws) for edit in SUBSTITUTIONS]
    return [other for other in dict.fromkeys(drawn) if other != text]


def text_losses(victim: Victim, tokens: Tensor | None, texts: Sequence[str | None]) -> Tensor:
    """Losses `[n]` of a victim's samples with these texts beside them."""
    batch = replace(victim.batch, visual=tokens, texts=tuple(texts))
    with torch.no_grad():
        found = [
            black_box_losses(victim.learner, attacked_part(batch, p)) for p in slices(len(batch), victim.batch_size)
        ]
    return torch.cat(found)


def reword_once(
    learner: Any, loss_of: Callable[[], float], now: Reworded, rng: np.random.Generator, queries: int
) -> Reworded:
    """Go through the classes in a random order and make the edit of each one's prompts that raises the mean loss most.

    At most one edit a class, and at most `queries` rewordings in all: with more classes than that, some are left as
    they are. The learner is left reading the texts that are returned.
    """
    texts, loss, tried = list(now.texts), now.loss, 0
    each = max(1, queries // max(1, len(texts)))
    for place in rng.permutation(len(texts)).tolist()[: max(1, queries // each)]:
        best = texts[place]
        for group in _prompt_candidates(texts[place], rng, each):
            tried += 1
            learner.reword(_with(texts, place, group))
            reached = loss_of()
            if reached > loss:
                loss, best = reached, group
        texts[place] = best
    learner.reword(tuple(texts))
    return Reworded(tuple(texts), loss, now.candidates + tried)


def _prompt_candidates(prompts: tuple[str, ...], rng: np.random.Generator, count: int) -> list[tuple[str, ...]]:
    """Edit all prompts of a class by the same perturbation; a few perturbations, in a random order."""
    order = [SUBSTITUTIONS[index] for index in rng.permutation(len(SUBSTITUTIONS))]
    drawn = (tuple(edit.apply(prompt, 1, rng) for prompt in prompts) for edit in order)
    return [group for group in dict.fromkeys(drawn) if group != prompts][:count]


def _with(texts: Sequence[tuple[str, ...]], place: int, group: tuple[str, ...]) -> WordedClasses:
    return (*texts[:place], group, *texts[place + 1 :])


def _gather(batch: Batch, tokens: Tensor | None, rows: Sequence[int], texts: Sequence[str]) -> Batch:
    """Repeat samples beside other texts."""
    assert batch.targets is not None
    return Batch(
        sample_ids=tuple(batch.sample_ids[row] for row in rows),
        visual=None if tokens is None else tokens[list(rows)],
        texts=tuple(texts),
        targets=tuple(batch.targets[row] for row in rows),
        sizes=tuple(batch.sizes[row] for row in rows) if batch.sizes else (),
        choices=tuple(batch.choices[row] for row in rows) if batch.choices else (),
    )
