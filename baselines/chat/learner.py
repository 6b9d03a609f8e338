"""A chat model as a learner: it describes, names one of several options, or answers a question in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.chat.conversation import ChatTemplate, messages
from baselines.chat.option_likelihood import answer_log_likelihoods
from baselines.chat.settings import GENERATION, ChatSettings
from baselines.pretrained.frozen_captioner import FrozenCaptioner
from baselines.prompts.prompt import Prompt, RenderedPrompt, render, said_in_own_order, slots_of
from harness.answers import CAPTIONS, CHOICES, LABELS, NO_CLASS, form_of
from harness.cell import DecodeOptions
from harness.errors import CheckpointError
from harness.inputs.images import upright_image
from harness.sample import Batch, GivenImage, NoAnswer, Prediction, TaskSpec
from harness.text.said_option import parse_option

_NOT_READ = frozenset({"labels"})
"""What some processors give that would make a network compute a training loss."""


class ChatLearner(FrozenCaptioner):
    """Asks a chat model about each sample: by likelihood one at a time, in words many at a time, padded on the left.

    Without `template.sees` no image is shown: control C5. `takes_pictures` says that images come as they are on disk.
    """

    def __init__(
        self, model: nn.Module, template: ChatTemplate, prompt: Prompt, spec: TaskSpec, settings: ChatSettings,
        decode: DecodeOptions,
    ) -> None:  # fmt: skip
        super().__init__(model, None)
        self.takes_pictures = template.sees
        self.reads = ("text",) if {"text", "question"} & slots_of(prompt.user + prompt.without_options) else ()
        self._template, self._prompt, self._settings, self._decode = template, prompt, settings, decode
        self._form, self._names = form_of(spec.answers), spec.classes.names
        self._first: dict[str, Any] = {}
        self._read_answers = self._unparsed = 0

    def device(self) -> str:
        """Say where inputs belong: with the first weights that are in memory, as others come in when they are used."""
        placed = next((p.device for p in self.model.parameters() if p.device.type != "meta"), None)
        hooks = (getattr(module, "_hf_hook", None) for module in self.model.modules())  # accelerate's
        moved = (getattr(hook, "execution_device", None) for hook in hooks)
        return str(placed or next(place for place in moved if place is not None))

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Keep the names of classes: a chat model chooses among names, not among prompts of them."""

    def predict(self, batch: Batch) -> list[Prediction]:
        """Answer for each sample: text, probabilities of classes, scores of choices; NoAnswer where nothing is said."""
        asked = [self._asked(batch, row) for row in range(len(batch))]
        images = [self._image(batch.pictures[row]) for row in range(len(batch))] if self.takes_pictures else None
        shown: Sequence[Any] = images or [False] * len(batch)
        for sample_id, rendered, image in zip(batch.sample_ids, asked, shown, strict=True):
            self._template.check_text(sample_id, rendered)
            if not self._first:
                self._note(sample_id, rendered, image)
        scored = [bool(each.answers) and self._by_likelihood for each in asked]
        said = self._said([row for row, known in enumerate(scored) if not known], asked, shown)
        return [
            self._scored(asked[row], shown[row])
            if known
            else self._read(said[row], asked[row], batch.choices[row] if batch.choices else ())
            for row, known in enumerate(scored)
        ]

    def checkpoint_settings(self) -> Mapping[str, Any]:
        """What the checkpoint brings: generation settings, the first question as its template and processor made it."""
        marks = self._template.tokenizer.convert_ids_to_tokens(self._template.end_ids())
        return {
            **super().checkpoint_settings(),
            "ends_at": list(marks),
            "answer_begins_with": self._template.lead,
            **({"answers_read": self._read_answers, "unparsed": self._unparsed} if self._read_answers else {}),
            **self._first,
        }

    @property
    def _by_likelihood(self) -> bool:
        return self._form == CHOICES or self._settings.options_by != GENERATION

    def _asked(self, batch: Batch, row: int) -> RenderedPrompt:
        text = batch.texts[row] or ""
        if self._form == CAPTIONS:
            return render(self._prompt, text=text)
        if self._form == LABELS:
            return render(self._prompt, text=text, options=self._names)
        choices = batch.choices[row] if batch.choices else ()
        if self._form == CHOICES:
            return render(self._prompt, text=text, options=choices)
        return render(self._prompt, question=text, options=choices)

    def _image(self, given: GivenImage) -> Any:
        from PIL import Image

        return upright_image(given) if isinstance(given, Path) else Image.fromarray(given)

    def _inputs(self, asked: Sequence[RenderedPrompt], shown: Sequence[Any]) -> dict[str, Tensor]:
        """Fill the template and call the processor for some questions, which are padded to the longest."""
        processor = self._template.processor
        try:
            encoded = processor.apply_chat_template(
                [messages(each, image=image) for each, image in zip(asked, shown, strict=True)],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        except (ValueError, TypeError, KeyError, IndexError) as error:
            name, said = type(processor).__name__, str(error).rstrip(". ")
            raise CheckpointError(
                f"{name} does not take texts with images: {said}. Wanted a processor and a chat template that fit each "
                "other; see what lies in the checkpoint's folder."
                if self.takes_pictures
                else f"{name} does not take texts without an image ({said}), so this model has no control C5. Blank "
                "and exchanged images say what it gives away: --perturb blank-image,wrong-image."
            ) from error
        return {
            name: self.inputs(value)
            for name, value in encoded.items()
            if isinstance(value, Tensor) and name not in _NOT_READ
        }

    def _scored(self, rendered: RenderedPrompt, image: Any) -> list[float]:
        """Log-likelihoods of the answers, or for classes what they are among each other."""
        ids = self._template.answer_ids(rendered.answers, self._template.text(rendered))
        logs = answer_log_likelihoods(self.model, self._inputs([rendered], [image]), ids)
        mean = self._settings.option_score == "mean"
        scores = torch.tensor([sum(each) / (len(each) if mean else 1) for each in logs], dtype=torch.float64)
        found: list[float] = (scores.softmax(0) if self._form == LABELS else scores).tolist()
        return found

    def _said(self, rows: Sequence[int], asked: Sequence[RenderedPrompt], shown: Sequence[Any]) -> dict[int, str]:
        """What is said to some of the questions, in words; the prompt and marks left out."""
        if not rows:
            return {}
        inputs = self._inputs([asked[row] for row in rows], [shown[row] for row in rows])
        ids = self.model.generate(  # type: ignore[operator]
            **inputs,
            do_sample=False,
            num_beams=self._decode.beams,
            max_new_tokens=self._decode.max_tokens,
            eos_token_id=self._template.end_ids() or None,
            pad_token_id=self._template.tokenizer.pad_token_id,
        )
        length = inputs["input_ids"].shape[1]
        if ids.shape[1] > length and torch.equal(ids[:, :length], inputs["input_ids"]):
            ids = ids[:, length:]
        texts = self._template.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return {row: self._template.clean(text) for row, text in zip(rows, texts, strict=True)}

    def _read(self, said: str, rendered: RenderedPrompt, choices: Sequence[str]) -> Prediction:
        """What an answer in words means for the task: the text itself, or the class that it names."""
        if not said:
            return NoAnswer("the model said nothing: its first token ended the answer")
        if self._form != LABELS:
            return said_in_own_order(self._prompt, said, choices)
        named = parse_option(said, rendered.answers)
        place = parse_option(said, self._names, letters=False) if named is None else named
        self._read_answers += 1
        self._unparsed += place is None
        return NO_CLASS if place is None else place

    def _note(self, sample_id: str, rendered: RenderedPrompt, image: Any) -> None:
        """Keep of the first question how it was written, and a digest of each tensor that was made of it."""
        inputs = self._inputs([rendered], [image])
        self._first = {
            "first_sample": sample_id,
            "first_prompt": self._template.text(rendered),
            "first_tensors": {name: _digest(value) for name, value in sorted(inputs.items())},
        }


def _digest(values: Tensor) -> str:
    """Name a tensor by shape, number format and values, 16 hexadecimal digits."""
    whole = values.detach().cpu().contiguous()
    digest = hashlib.sha256(json.dumps([list(whole.shape), str(whole.dtype)]).encode())
    digest.update(whole.view(torch.uint8).numpy().tobytes() if whole.ndim else str(whole.item()).encode())
    return digest.hexdigest()[:16]
