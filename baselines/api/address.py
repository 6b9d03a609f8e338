"""Where a model is served: `api:URL#MODEL`, taken apart and checked before anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import BenchError, UsageError

_FAMILY = "api"
_EXAMPLE = "api:http://localhost:8000/v1#MODEL"
_CHAT = "/chat/completions"
_LOCAL_ENDINGS = (".local", ".internal", ".localhost", ".lan")


class EndpointError(BenchError):
    """An endpoint that cannot be used: unreachable, another key or model, no images; nothing was scored."""


@dataclass(frozen=True)
class Endpoint:
    """The address to which paths such as /chat/completions are appended, and the name of a model there."""

    url: str
    model: str

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine or stands in a private network, where servers often want no key."""
        name = urlsplit(self.url).hostname or ""
        if name == "localhost" or name.endswith(_LOCAL_ENDINGS):
            return True
        try:
            return not ipaddress.ip_address(name).is_global
        except ValueError:
            return "." not in name  # a name in the own network, as containers have


def parse_endpoint(name: str) -> Endpoint:
    """Take `api:URL#MODEL` apart; raises UsageError that says what is wrong with it.

    >>> parse_endpoint("api:http://localhost:8000/v1/#org/model")
    Endpoint(url='http://localhost:8000/v1', model='org/model')
    """
    url, hash_sign, model = name.removeprefix(f"{_FAMILY}:").partition("#")
    if not hash_sign or not model.strip():
        raise UsageError(f"'{_without_user(name)}' names no model: wanted {_EXAMPLE}, with the model behind a '#'.")
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"'{_without_user(url)}' is no URL ({error}). Wanted {_EXAMPLE}.") from None
    if parts.scheme not in ("http", "https") or not host or any(sign.isspace() for sign in url.strip()):
        raise UsageError(f"'{_without_user(url)}' is no URL of http or https. Wanted {_EXAMPLE}.")
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            f"The URL of {host} holds a user, a password or a query, which would stand in records. Give the plain URL; "
            "a key belongs into an environment variable (--set model.key_variable=NAME says which)."
        )
    return Endpoint(url.strip().rstrip("/").removesuffix(_CHAT), model.strip())


def _without_user(text: str) -> str:
    """Leave out what may be a password."""
    text = f"{asked}?***" if (asked := text.partition("?")[0]) != text else text
    scheme, slashes, rest = text.partition("://")
    return f"{scheme}{slashes}***@{rest.rpartition('@')[2]}" if slashes and "@" in rest.partition("/")[0] else text
