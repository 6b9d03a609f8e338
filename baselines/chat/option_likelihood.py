"""How probable a chat model finds each of some answers to one question: the question is read once, answers in batches.

The logits of the question's last token say how an answer may begin; what follows is read from a copy of the question's
keys and values for each answer, many at a time. So the image is encoded once a sample, whatever the number of options.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_MOST_TOKENS = 1 << 16
"""How many keys are held at once, over all answers of a batch."""


def answer_log_likelihoods(
    model: Any, inputs: Mapping[str, Tensor], answers: Sequence[Sequence[int]], most_tokens: int = _MOST_TOKENS
) -> list[list[float]]:
    """Return the log-probability of each token of each answer, in nats, after the question in `inputs` (one row).

    Raises ValueError for more than one row.
    """
    length = inputs["input_ids"].shape[1]
    if inputs["input_ids"].shape[0] != 1:
        raise ValueError("one question at a time")
    more = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    read = model(**inputs, use_cache=True, **more)
    first = read.logits[0, -1].float().log_softmax(-1)
    found = [[float(first[answer[0]])] for answer in answers]
    longer = sorted((place for place, answer in enumerate(answers) if len(answer) > 1), key=lambda p: len(answers[p]))
    for places in _batches(longer, [len(answer) for answer in answers], length, most_tokens):
        for place, rest in zip(places, _rest(model, inputs, read, [answers[place] for place in places]), strict=True):
            found[place] += rest
    return found


def _batches(places: Sequence[int], lengths: Sequence[int], question: int, most: int) -> Iterator[list[int]]:
    """Cut places, shortest answer first, into batches that hold few enough keys."""
    batch: list[int] = []
    for place in places:
        if batch and (len(batch) + 1) * (question + lengths[place]) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _rest(model: Any, inputs: Mapping[str, Tensor], read: Any, answers: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probabilities of the second and later tokens of some answers, each of two tokens at least.

    Short answers are filled up at their end, which nothing before it sees, so no mask is wanted: one question alone has
    no padding either.
    """
    rows, width = len(answers), max(map(len, answers)) - 1
    device = inputs["input_ids"].device
    ids = torch.zeros(rows, width, dtype=torch.long, device=device)
    for row, answer in enumerate(answers):
        ids[row, : len(answer) - 1] = torch.tensor(answer[:-1], device=device)
    cache = copy.deepcopy(read.past_key_values)
    cache.batch_repeat_interleave(rows)
    more: dict[str, Tensor] = {}
    if (seen := inputs.get("cross_attention_mask")) is not None:  # Mllama's: which tiles later tokens may look at
        last = seen[:, -1:].expand(rows, width, -1, -1)
        more["cross_attention_mask"] = torch.cat([seen.expand(rows, -1, -1, -1), last], dim=1)
    logits = model(input_ids=ids, past_key_values=cache, use_cache=True, **more).logits
    logs = logits.float().log_softmax(-1)
    return [
        logs[row, torch.arange(len(answer) - 1), torch.tensor(answer[1:], device=device)].tolist()
        for row, answer in enumerate(answers)
    ]
