"""A digest on what is stored as JSON, so that a number changed by hand is seen; a guard against slips, not forgery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


class DigestError(ValueError):
    """Stored JSON that has no digest, or another one than its content."""


def with_digest(content: Mapping[str, Any]) -> bytes:
    """Write as JSON with a `digest` of everything else; raises ValueError for NaN and infinity."""
    whole = {**content, "digest": content_digest(content)}
    return json.dumps(whole, indent=1, sort_keys=True, allow_nan=False).encode()


def without_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return parsed JSON without its digest; raises DigestError where that is missing or does not fit."""
    return vouched_content(content)[0]


def vouched_content(content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return parsed JSON without its digest, and as the text that was digested; raises DigestError as above."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    if "digest" not in content:
        raise DigestError("it has no digest, so an earlier version made it")
    text = _canonical(rest)
    if content["digest"] != _digest(text):
        raise DigestError("it was changed by hand: its content does not have the digest that it carries")
    return rest, text


def content_digest(content: Mapping[str, Any]) -> str:
    """sha256 of JSON-able content, whatever the order of its keys and the layout of the file."""
    return _digest(_canonical(content))


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
