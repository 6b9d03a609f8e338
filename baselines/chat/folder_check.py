"""Whether a folder holds what a chat model is asked with, found while a run is planned: no torch, no network is loaded.

A template is filled as transformers fills it, in a sandbox. What cannot be decided so is left to the job that loads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.chat.conversation import SAID, check_filled, messages, no_processor, no_template
from baselines.prompts.prompt import RenderedPrompt
from harness.errors import CheckpointError

FILES_OF_ASKING = ("config.json", "*processor_config.json", "tokenizer_config.json", "chat_template.*")
"""The small files of a repository that say how a model is asked."""
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")
_WORDS = ("tokenizer*", "vocab*", "*.model", "tekken.json", "merges.txt")
_ITS_OWN_TAG = re.compile(r"{%[-+]?\s*(?P<end>end)?generation\s*[-+]?%}")
"""Marks what the assistant says; of transformers, unknown to jinja2."""
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "image_token")


def check_chat_folder(folder: Path, *, whole: bool) -> None:
    """Refuse a folder without processor, tokenizer or template, or whose template shows no image or no words.

    `whole` says that all files are there, not only the small ones. Raises CheckpointError.
    """
    if not any((folder / name).is_file() for name in _PROCESSORS):
        raise no_processor(folder, f"none of {', '.join(_PROCESSORS)}")
    if whole and not any(next(folder.glob(form), None) for form in _WORDS):
        raise no_processor(folder, "no tokenizer")
    source = _template_of(folder)
    if source is None:
        return
    if not source:
        raise no_template(folder)
    asked = RenderedPrompt("", SAID)
    with_image, without = (_filled(source, folder, messages(asked, image=image)) for image in (True, False))
    if with_image is not None and without is not None:
        check_filled(folder, with_image, without)


def _template_of(folder: Path) -> str | None:
    """The template that the processor will have, empty for none; None where it has several."""
    if (folder / "additional_chat_templates").is_dir():
        return None
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for name in ("chat_template.json", "processor_config.json"):
        found = _read(folder / name).get("chat_template")
        if found:
            return found if isinstance(found, str) else None
    return ""


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}). Fetch the checkpoint again.") from error
    return content if isinstance(content, dict) else {}


def _filled(source: str, folder: Path, said: list[dict[str, Any]]) -> str | None:
    """Fill a template as transformers does; None where that needs what only the processor knows.

    Raises CheckpointError for one that is no template, or that itself refuses a user's words and an image.
    """
    from jinja2 import TemplateError, TemplateSyntaxError, ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    source = _ITS_OWN_TAG.sub(lambda tag: "{%" + (" endif" if tag["end"] else " if true") + " %}", source)
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols])
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: "today"
    marks = {name: _plain(value) for name, value in _read(folder / "tokenizer_config.json").items() if name in _SPECIAL}
    try:
        filled: str = environment.from_string(source).render(messages=said, add_generation_prompt=True, **marks)
    except TemplateError as error:
        if isinstance(error, TemplateSyntaxError) or type(error) is TemplateError:
            raise CheckpointError(
                f"The chat template of {folder} cannot be filled: {error}. Mend chat_template.jinja."
            ) from None
        return None  # it wants marks that only the processor knows
    return filled


def _plain(mark: Any) -> str:
    return str(mark.get("content", "")) if isinstance(mark, dict) else str(mark or "")


def _refuse(message: str) -> str:
    from jinja2 import TemplateError

    raise TemplateError(message)
