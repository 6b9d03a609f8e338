"""The body of a chat request: every parameter of sampling in it, so that no server's defaults decide."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from baselines.api.address import Endpoint
from baselines.api.image_bytes import data_url
from baselines.api.settings import ApiSettings
from baselines.prompts.prompt import RenderedPrompt

_IMAGE_HERE = f"image {uuid4().hex}"
"""Stands for an image while a body is written; no text holds it, as no two processes have the same."""


class RequestBodies:
    """Makes the bodies of the requests for one model; `top_logprobs` of 0 asks for none."""

    def __init__(self, endpoint: Endpoint, settings: ApiSettings, max_tokens: int, seed: int) -> None:
        self._settings = settings
        self._fixed: dict[str, Any] = {
            "model": endpoint.model,
            "max_tokens": max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "frequency_penalty": settings.frequency_penalty,
            "presence_penalty": settings.presence_penalty,
            "seed": seed,
            "n": 1,
            "stream": False,
        }
        self._extra = settings.extra_members()

    def members(self) -> dict[str, Any]:
        """What every request holds beside its messages, as it is sent."""
        return {name: value for name, value in (self._fixed | self._extra).items() if value is not None}

    def ask(self, prompt: RenderedPrompt, png: bytes | None, top_logprobs: int = 0) -> bytes:
        """Ask for an answer about an image, or about none."""
        wanted = {"logprobs": True, "top_logprobs": top_logprobs} if top_logprobs else {}
        return self._encoded(_messages(prompt, png), wanted, png)

    def likelihood(self, prompt: RenderedPrompt, png: bytes | None, answer: str) -> bytes:
        """Ask how likely an answer is, of servers that give `prompt_logprobs`, as vLLM does."""
        messages = [*_messages(prompt, png), {"role": "assistant", "content": answer}]
        wanted = {"max_tokens": 1, "prompt_logprobs": 0, "add_generation_prompt": False, "continue_final_message": True}
        return self._encoded(messages, wanted, png)

    def _encoded(self, messages: list[dict[str, Any]], wanted: dict[str, Any], png: bytes | None) -> bytes:
        content = {**self._fixed, "messages": messages, **wanted, **self._extra}
        if "max_tokens" in wanted:
            content["max_tokens"] = wanted["max_tokens"]
        kept = {name: value for name, value in content.items() if value is not None}
        written = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        # An image's digits need no escapes, and looking for some takes longer than all the rest.
        return written if png is None else written.replace(_IMAGE_HERE.encode(), data_url(png), 1)


def _messages(prompt: RenderedPrompt, png: bytes | None) -> list[dict[str, Any]]:
    """System and user messages; the image stands before the question, as models are trained."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    if png is None:
        return [*system, {"role": "user", "content": prompt.user}]
    shown = {"type": "image_url", "image_url": {"url": _IMAGE_HERE}}
    return [*system, {"role": "user", "content": [shown, {"type": "text", "text": prompt.user}]}]
