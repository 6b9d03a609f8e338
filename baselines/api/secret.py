"""The key of an endpoint: read from an environment variable, sent in one header, shown nowhere."""

from __future__ import annotations

import json
import os

from baselines.api.address import Endpoint
from harness.errors import UsageError

HIDDEN = "***"
_LEAST = 4
"""A shorter key is not looked for in texts: it would be found in every other word."""


class Secret:
    """A key that no repr, log or message tells."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __reduce__(self) -> str:
        raise TypeError("A key is not written anywhere.")

    def header(self) -> dict[str, str]:
        """The header that carries it; none for an empty key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def hide(self, text: str) -> str:
        """Take it out of a text that came from elsewhere, before anything is cut off: a part of a key tells much."""
        return text.replace(self._value, HIDDEN) if len(self._value) >= _LEAST else text

    def hide_in(self, content: bytes) -> bytes:
        """Take it out of the body of a reply, as it is or as JSON may write it."""
        if len(self._value) < _LEAST:
            return content
        for form in {self._value, json.dumps(self._value)[1:-1], self._value.replace("/", r"\/")}:
            content = content.replace(form.encode(), HIDDEN.encode())
        return content


def read_key(variable: str, endpoint: Endpoint) -> Secret:
    """Read the key; an empty one where the variable is not set and the server stands near.

    Raises UsageError, which names the variable and never what it holds, where a far server would get none, or where it
    cannot stand in a header.
    """
    value = os.environ.get(variable, "").strip()
    if not value and not endpoint.is_local:
        raise UsageError(
            f"{endpoint.host} wants a key and ${variable} is not set. Put the key into that environment variable, or "
            "name another one with --set model.key_variable=NAME. Servers on this machine or network need none."
        )
    if not value.isascii() or not all(sign.isprintable() for sign in value) or " " in value:
        raise UsageError(f"${variable} holds signs that no key has (blanks, line ends, umlauts). Set it anew.")
    return Secret(value)
