"""A digest on what is stored as JSON, so that a number changed by hand is seen; a guard against slips, not forgery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

_NO_END = frozenset(b" \t\r\n[{,:\\")
"""What may stand before a quotation mark that does not end a text."""


class DigestError(ValueError):
    """Stored JSON that has no digest, or another one than its content."""


def with_digest(content: Mapping[str, Any]) -> bytes:
    """Write as JSON with a `digest` of everything else; raises ValueError for NaN and infinity."""
    whole = {**content, "digest": content_digest(content)}
    return json.dumps(whole, indent=1, sort_keys=True, allow_nan=False).encode()


def without_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return parsed JSON without its digest; raises DigestError where that is missing or does not fit."""
    return vouched_content(content)[0]


def vouched_content(content: Mapping[str, Any], stored: bytes = b"") -> tuple[dict[str, Any], str | bytes]:
    """Return parsed JSON without its digest, and as the text that was digested; raises DigestError as above.

    `stored` is what it was parsed from, where that is at hand: of what `with_digest` wrote the text is there already.
    """
    rest = {key: value for key, value in content.items() if key != "digest"}
    if "digest" not in content:
        raise DigestError("it has no digest, so an earlier version made it")
    as_stored = _digested_text(stored, content["digest"])
    if as_stored is not None:
        return rest, as_stored
    text = _canonical(rest)
    if content["digest"] != _digest(text):
        raise DigestError("it was changed by hand: its content does not have the digest that it carries")
    return rest, text


def _digested_text(stored: bytes, digest: Any) -> bytes | None:
    """The text that was digested, by taking the layout of `with_digest` away; None where that gives another digest.

    Writing all numbers and texts anew takes three times as long.
    """
    if not isinstance(digest, str):
        return None
    parts = b"".join(map(bytes.lstrip, stored.split(b"\n"))).split(b'": ')
    if not all(parts) or not _NO_END.isdisjoint(map(itemgetter(-1), parts[:-1])):  # may be within a text
        return None
    text = b'":'.join(parts).replace(b'"digest":"%s",' % digest.encode("utf-8", "replace"), b"", 1)
    return text if hashlib.sha256(text).hexdigest() == digest else None


def content_digest(content: Mapping[str, Any]) -> str:
    """sha256 of JSON-able content, whatever the order of its keys and the layout of the file."""
    return _digest(_canonical(content))


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
