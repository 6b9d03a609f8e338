"""What a server replied, read with suspicion: a text that the model said, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.text.error_text import shortened
from harness.text.outside_text import one_line

_SHOWN = 160


class RequestFailed(Exception):
    """Why one request has no answer; `fatal` where no other would have one either, `refused` where it was this one."""

    def __init__(self, reason: str, *, fatal: bool = False, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.fatal, self.refused = reason, fatal, refused


@dataclass(frozen=True)
class Reply:
    """What a model said; `first` are the log-probabilities of its first token, by token, where the server gave them.

    `prompt` are the tokens of the request with their log-probabilities, where these were asked for.
    """

    text: str
    finish: str
    first: Mapping[str, float]
    prompt: Sequence[tuple[str, float]]
    prompt_tokens: int | None
    completion_tokens: int | None


def read_reply(content: Mapping[str, Any], *, may_be_empty: bool = False) -> Reply:
    """Read a chat completion; raises RequestFailed where it holds no answer, which an empty text is none either."""
    if content.get("error"):
        raise RequestFailed(f"the server says: {error_told(content)}")
    try:
        choice = content["choices"][0]
        message = choice["message"]
        said = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise RequestFailed(f"the reply is no chat completion: {told(str(content))}") from None
    text = _joined(said).strip()
    finish = str(choice.get("finish_reason") or "")
    if message.get("refusal"):
        raise RequestFailed(f"the model refuses: {told(str(message['refusal']))}")
    if finish == "content_filter":
        raise RequestFailed("a content filter took the answer away")
    if not text and not may_be_empty:
        why = (
            "all of its tokens went elsewhere: raise evaluate's max_tokens" if finish == "length" else finish or "none"
        )
        raise RequestFailed(f"the answer is empty (finish_reason {why})")
    usage = content.get("usage")
    return Reply(
        text,
        finish,
        _first_token(choice.get("logprobs")),
        _prompt_tokens(content.get("prompt_logprobs") or choice.get("prompt_logprobs")),
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
    )


def error_told(content: Any) -> str:
    """Take the message out of an error's body, whatever its form."""
    found = content
    for key in ("error", "detail", "message"):
        if isinstance(found, Mapping) and key in found:
            found = found[key]
    return told(found if isinstance(found, str) else str(found))


def told(text: str) -> str:
    """Bring a text from outside to one short, harmless line."""
    return shortened(one_line(text), _SHOWN)


def _joined(said: Any) -> str:
    """Some servers give the text in parts."""
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return "".join(str(part.get("text", "")) for part in said if isinstance(part, Mapping))
    return ""


def _first_token(logprobs: Any) -> dict[str, float]:
    try:
        entry = logprobs["content"][0]
        listed = entry.get("top_logprobs") or [entry]
        return {str(each["token"]): float(each["logprob"]) for each in listed}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return {}


def _prompt_tokens(listed: Any) -> tuple[tuple[str, float], ...]:
    """Read vLLM's `prompt_logprobs`: for each token the one that stands there, by id; the first has none."""
    found = []
    try:
        for entry in listed or ():
            if entry:
                chosen = next(iter(entry.values()))
                found.append((str(chosen["decoded_token"]), float(chosen["logprob"])))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return ()
    return tuple(found)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
