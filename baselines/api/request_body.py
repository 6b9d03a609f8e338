"""The body of a chat request: every parameter of sampling in it, so that no server's defaults decide."""

from __future__ import annotations

import json
from typing import Any

from baselines.api.address import Endpoint
from baselines.api.image_bytes import data_url
from baselines.api.settings import ApiSettings
from baselines.prompts.prompt import RenderedPrompt


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
        return self._encoded(_messages(prompt, png), wanted)

    def likelihood(self, prompt: RenderedPrompt, png: bytes | None, answer: str) -> bytes:
        """Ask how likely an answer is, of servers that give `prompt_logprobs`, as vLLM does."""
        messages = [*_messages(prompt, png), {"role": "assistant", "content": answer}]
        wanted = {"max_tokens": 1, "prompt_logprobs": 0, "add_generation_prompt": False, "continue_final_message": True}
        return self._encoded(messages, wanted)

    def _encoded(self, messages: list[dict[str, Any]], wanted: dict[str, Any]) -> bytes:
        content = {**self._fixed, "messages": messages, **wanted, **self._extra}
        if "max_tokens" in wanted:
            content["max_tokens"] = wanted["max_tokens"]
        kept = {name: value for name, value in content.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _messages(prompt: RenderedPrompt, png: bytes | None) -> list[dict[str, Any]]:
    """System and user messages; the image stands before the question, as models are trained."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    if png is None:
        return [*system, {"role": "user", "content": prompt.user}]
    shown = {"type": "image_url", "image_url": {"url": data_url(png)}}
    return [*system, {"role": "user", "content": [shown, {"type": "text", "text": prompt.user}]}]
