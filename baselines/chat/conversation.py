"""A checkpoint's chat template: what is asked as the model reads it, and how its answer begins and ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baselines.prompts.prompt import RenderedPrompt
from harness.errors import CheckpointError, DataError

SAID = "Zebras say 7"
"""A text that no template holds."""


@dataclass(frozen=True)
class ChatTemplate:
    """A processor with its chat template, checked: text and image of a question reach the model.

    `lead` is what the template puts between its opening of an answer and the answer (Vicuna's blank), `end` the marks
    that end one.
    """

    processor: Any
    lead: str
    end: str
    sees: bool

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    def text(self, rendered: RenderedPrompt) -> str:
        """Write a question as the template has it, up to where the answer begins."""
        return str(_filled(self.processor, messages(rendered, image=self.sees), opens=True))

    def check_text(self, sample_id: str, rendered: RenderedPrompt) -> None:
        """Refuse a question that holds a mark of the template: it would be read as an image or as another's turn."""
        for mark in self.tokenizer.all_special_tokens:
            if len(mark) > 1 and mark in rendered.user + rendered.system:
                raise DataError(
                    f"The text asked of sample {sample_id} holds {mark}, which this model's tokenizer takes for a mark "
                    "and not for words. Take it out of the data or the prompt."
                )

    def end_ids(self) -> list[int]:
        """The tokens that end an answer: the tokenizer's own, and the template's mark where it is one token."""
        ids = self.tokenizer(self.end.strip(), add_special_tokens=False)["input_ids"] if self.end.strip() else []
        marks = set(self.tokenizer.added_tokens_decoder)
        found = [self.tokenizer.eos_token_id, *(ids[:1] if ids and ids[0] in marks else ())]
        return [int(token) for token in dict.fromkeys(found) if token is not None]

    def answer_ids(self, answers: Sequence[str], opened: str) -> list[list[int]]:
        """The tokens of each answer where it follows the text `opened`; raises DataError for one without any."""
        before = opened.splitlines(keepends=True)[-1] if opened else ""
        head = self._ids(before)
        found = []
        for answer in answers:
            whole = self._ids(before + self.lead + answer)
            ids = whole[len(head) :] if whole[: len(head)] == head else self._ids(self.lead + answer)
            if not ids:
                raise DataError(f"The option {answer!r} has no tokens, so it has no likelihood. Give it a text.")
            found.append(ids)
        return found

    def clean(self, said: str) -> str:
        """Take the marks of turns out of what was said, and what stands after the first of them; single blanks."""
        end = self.end.strip()
        return " ".join((said.partition(end)[0] if end else said).split())

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def open_template(processor: Any, folder: Any, *, sees: bool) -> ChatTemplate:
    """Read how a processor's template asks and answers; raises CheckpointError where it cannot ask about an image."""
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise no_processor(folder, f"a {type(processor).__name__}")
    if not getattr(processor, "chat_template", None):
        raise no_template(folder)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    asked = RenderedPrompt("", SAID)
    with_image = _filled(processor, messages(asked, image=True), opens=True)
    without = _filled(processor, messages(asked, image=False), opens=True)
    check_filled(folder, with_image, without)
    opened = with_image if sees else without
    whole = _filled(
        processor,
        [*messages(asked, image=sees), {"role": "assistant", "content": [{"type": "text", "text": "Yes7"}]}],
        opens=False,
    )
    after = whole[len(opened) :] if whole.startswith(opened) else whole.rpartition(SAID)[2]
    lead, said, end = after.partition("Yes7")
    return ChatTemplate(processor, lead if said and whole.startswith(opened) else "", end if said else "", sees)


def no_processor(folder: Any, seen: str) -> CheckpointError:
    """Say that a folder has no processor of images and texts, and what it has."""
    return CheckpointError(
        f"{folder} has no processor for images and texts (it has {seen}). Wanted one that "
        "processor.save_pretrained wrote: processor_config.json or preprocessor_config.json, and tokenizer.json."
    )


def no_template(folder: Any) -> CheckpointError:
    """Say that a folder has no chat template."""
    return CheckpointError(
        f"{folder} has no chat template, so it is not known how this model is asked. Wanted chat_template.jinja "
        "beside its weights, from the model's page; a captioner without one runs as hf:FOLDER."
    )


def check_filled(folder: Any, with_image: str, without: str) -> None:
    """Refuse a template that leaves out the user's words or the image, by what it wrote; raises CheckpointError."""
    if SAID not in with_image:
        raise CheckpointError(f"The chat template of {folder} leaves out what the user says. Mend chat_template.jinja.")
    if with_image == without:
        raise CheckpointError(
            f"The chat template of {folder} has no slot for an image: it writes the same with one and without. "
            "Mend chat_template.jinja; the model would answer without having seen anything."
        )


def messages(rendered: RenderedPrompt, *, image: Any) -> list[dict[str, Any]]:
    """Make the messages of a question; `image` is a picture, or whether there is one."""
    found: list[dict[str, Any]] = []
    if rendered.system:
        found.append({"role": "system", "content": [{"type": "text", "text": rendered.system}]})
    shown: list[Mapping[str, Any]] = []
    if image is not False:
        shown.append({"type": "image"} if image is True else {"type": "image", "image": image})
    return [*found, {"role": "user", "content": [*shown, {"type": "text", "text": rendered.user}]}]


def _filled(processor: Any, said: list[dict[str, Any]], *, opens: bool) -> str:
    try:
        return str(processor.apply_chat_template(said, add_generation_prompt=opens, tokenize=False))
    except Exception as error:  # a template is a program of its own, and raises what it likes
        raise CheckpointError(
            f"The chat template of this {type(processor).__name__} cannot be filled with {_roles(said)}: {error}. "
            "Mend chat_template.jinja, or take a prompt without a system text."
        ) from error


def _roles(said: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{m['role']} ({'+'.join(part['type'] for part in m['content'])})" for m in said)
