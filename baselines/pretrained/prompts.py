"""The text that stands beside the image when a general vision-language model is asked for a caption."""

from __future__ import annotations

from typing import Any

DEFAULT = "Describe the image in one short sentence."
_UNPROMPTED = frozenset({"blip", "blip-2", "git", "vision-encoder-decoder", "pix2struct"})
_BY_TYPE = {"florence2": "<CAPTION>", "paligemma": "caption en", "kosmos-2": "<grounding>An image of"}
"""Prompts under which these were trained to caption, from their model cards."""
_OWN_TOKENS = frozenset({"instructblip"})
"""Their processors put the image's tokens before any text: one more finds no features to stand for."""


def prompt_for(processor: Any, model_type: str, wish: str) -> str | None:
    """Choose the text: the user's, else the one that the model was trained with; None for captioners.

    A chat template is filled where the processor has one; else an image token is put in front where the
    processor has one that the text lacks and that it does not add itself.
    """
    if not wish and model_type in _UNPROMPTED:
        return None
    text = wish or _BY_TYPE.get(model_type, DEFAULT)
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": text}]
        filled = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        return str(filled)
    token = getattr(processor, "image_token", None)
    token = getattr(token, "content", token)
    complete = _UNPROMPTED | _OWN_TOKENS | _BY_TYPE.keys()
    needs_token = isinstance(token, str) and model_type not in complete and token not in text
    return f"{token}\n{text}" if needs_token else text
