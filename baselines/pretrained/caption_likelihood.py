"""How probable a captioner finds a given text as the caption of an image, as its own `generate` computes it.

A network is made to write the text token by token, and the logits that it had at each place are read: so image, prompt,
first token and cache are what they are when it captions, for every architecture that transformers can generate with,
and no settings of generation (penalties, forbidden words) enter. This ranks texts for an image as VisualGPTScore does
(Lin et al. 2024, arXiv 2306.01879).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import CheckpointError, DataError
from harness.sample import Batch

_MOST_LOGITS = 1 << 26
"""How many logits of all texts written at once are kept, in all places (256 MB)."""
_LEAD = 3
"""How many tokens of a caption are looked at for marks that stand before its first word."""

Inputs = Callable[[Sequence[int]], Mapping[str, Tensor]]
"""What a network is given for some images of a batch, by their rows, each as often as it is named."""


class CaptionLikelihood:
    """Gives each choice of a sample its log-likelihood, in nats, with its end; `mean` divides by the tokens."""

    def __init__(self, model: Any, tokenizer: Any, prompt: str | None, folder: Path, *, mean: bool) -> None:
        if tokenizer is None or not callable(getattr(model, "generate", None)):
            lacking = "a tokenizer" if tokenizer is None else "generate"
            raise CheckpointError(
                f"{folder} holds a {type(model).__name__} without {lacking}, so texts have no likelihood. "
                "Take another model for this task (`bench list pairs`)."
            )
        self._model, self._tokenizer, self._folder, self._mean = model, tokenizer, folder, mean
        self._before = "" if prompt is None or _is_encoder_decoder(model.config) else _last_line(prompt, tokenizer)
        self._end = _end_of(model, tokenizer, folder)
        self._marks = [mark for mark in tokenizer.all_special_tokens if len(mark) > 1]
        self._lead: list[int] | None = None

    def score(self, batch: Batch, inputs: Inputs, grey: Callable[[], Mapping[str, Tensor]]) -> list[list[float]]:
        """Return a score for each choice of each sample; raises DataError for a text that cannot be one.

        `grey` gives the inputs for an image without content: what stands before a caption's first word is found on it.
        """
        if self._lead is None:
            self._lead = self._find_lead(grey())
        images = [row for row, own in enumerate(batch.choices) for _ in own]
        ids = [self._ids(batch.sample_ids[row], text) for row, own in enumerate(batch.choices) for text in own]
        found: dict[int, float] = {}
        for places in self._batches(ids, len(batch)):
            logs = self._log_likelihoods(inputs([images[place] for place in places]), [ids[place] for place in places])
            for place, each in zip(places, logs, strict=True):
                found[place] = sum(each) / (len(each) if self._mean else 1)
        scores = iter(found[place] for place in range(len(ids)))
        return [[next(scores) for _ in own] for own in batch.choices]

    def told(self) -> Mapping[str, Any]:
        """What stands before and after the words of a text that is scored, for the record."""
        marks = self._tokenizer.convert_ids_to_tokens
        return {"text_begins_with": marks(self._lead or []), "text_ends_with": marks(self._end)}

    def _batches(self, ids: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
        """Cut the places of texts, shortest first, into batches no larger than that of images."""
        batch: list[int] = []
        for place in sorted(range(len(ids)), key=lambda place: len(ids[place])):
            if batch and (len(batch) == most or (len(batch) + 1) * len(ids[place]) * self._words > _MOST_LOGITS):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    @property
    def _words(self) -> int:
        return len(self._tokenizer)

    def _ids(self, sample_id: str, text: str) -> list[int]:
        """The tokens of a text, from what stands before its first word to its end."""
        for mark in self._marks:
            if mark in text:
                raise DataError(
                    f"A choice of sample {sample_id} holds {mark}, which this model's tokenizer takes for a mark and "
                    "not for words. Take it out of the data."
                )
        words = " ".join(text.split())
        head, whole = self._plain(self._before), self._plain(self._before + words)
        own = whole[len(head) :] if whole[: len(head)] == head else self._plain(words)
        return [*(self._lead or ()), *own, self._end]

    def _plain(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _find_lead(self, inputs: Mapping[str, Tensor]) -> list[int]:
        """The marks that the network writes before a caption's first word: `<s>` of BART's kin, mostly none."""
        told = self._model.generate(
            **inputs, do_sample=False, num_beams=1, max_new_tokens=_LEAD, output_scores=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        marks = set(self._tokenizer.all_special_ids) - {self._end}
        lead: list[int] = []
        for scores in getattr(told, "scores", None) or ():
            token = int(scores[0].argmax())
            if token not in marks or token in lead:
                return lead
            lead.append(token)
        return lead

    def _log_likelihoods(self, inputs: Mapping[str, Tensor], texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each token of each text, one text a row of `inputs`."""
        longest = max(map(len, texts))
        told = self._model.generate(
            **inputs, do_sample=False, num_beams=1, max_new_tokens=longest, logits_processor=_forced(texts, self._end),
            output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        logits = getattr(told, "logits", None)
        if logits is None or len(logits) < longest:
            raise CheckpointError(
                f"{self._folder}: the generate of {type(self._model).__name__} does not give the logits of each step, "
                "so texts have no likelihood. Take another model for this task (`bench list pairs`)."
            )
        wanted = torch.tensor([[*text, *[self._end] * (longest - len(text))] for text in texts])
        found = [
            step.float().log_softmax(-1).gather(1, wanted[:, place, None].to(step.device))
            for place, step in enumerate(logits[:longest])
        ]
        table = torch.cat(found, dim=1).tolist()
        return [row[: len(text)] for row, text in zip(table, texts, strict=True)]


def _forced(texts: Sequence[Sequence[int]], end: int) -> Any:
    """Let generation write one text a row, whatever it would have written."""
    from transformers import LogitsProcessor, LogitsProcessorList

    class ForcedTexts(LogitsProcessor):
        """Leaves a single token possible at each place; stands last, so that no other processor forbids it."""

        def __init__(self) -> None:
            self.step = 0

        def __call__(self, _written: Tensor, scores: Tensor) -> Tensor:
            forced = torch.full_like(scores, -torch.inf)
            for row, text in enumerate(texts):
                forced[row, text[self.step] if self.step < len(text) else end] = 0
            self.step += 1
            return forced

    return LogitsProcessorList([ForcedTexts()])


def _is_encoder_decoder(config: Any) -> bool:
    """Tell whether an answer stands in a text of its own, or follows the prompt."""
    return bool(
        getattr(config, "is_encoder_decoder", False) or getattr(config.get_text_config(), "is_encoder_decoder", False)
    )


def _last_line(prompt: str, tokenizer: Any) -> str:
    """What stands before an answer in its line, with a blank where words would run into each other."""
    lines = prompt.splitlines(keepends=True)
    last = lines[-1] if lines else ""
    closed = not last or last[-1].isspace() or any(last.endswith(mark) for mark in tokenizer.all_special_tokens)
    return last if closed else f"{last} "


def _end_of(model: Any, tokenizer: Any, folder: Path) -> int:
    """The token that ends what a network writes; raises CheckpointError where none is known."""
    config = model.config.get_text_config()
    if model.config.model_type == "blip":  # its generate takes this one, whatever its generation settings say
        candidates: tuple[Any, ...] = (config.sep_token_id,)
    else:
        settings = getattr(model, "generation_config", None)
        stated = (getattr(settings, "eos_token_id", None), getattr(config, "eos_token_id", None))
        candidates = (*stated, tokenizer.eos_token_id, tokenizer.sep_token_id)
    for candidate in candidates:
        found = candidate[0] if isinstance(candidate, list) and candidate else candidate
        if isinstance(found, int):
            return found
    raise CheckpointError(
        f"{folder} names no token that ends a text, so the likelihood of a whole caption is not known. Wanted "
        "eos_token_id in its generation_config.json."
    )
