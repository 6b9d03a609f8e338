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
    """Return parsed JSON without its digest; raises SealError where that is missing or does not fit."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    if "digest" not in content:
        raise DigestError("it has no digest, so an earlier version made it")
    if content["digest"] != content_digest(rest):
        raise DigestError("it was changed by hand: its content does not have the digest that it carries")
    return rest


def content_digest(content: Mapping[str, Any]) -> str:
    """sha256 of JSON-able content, whatever the order of its keys and the layout of the file."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
