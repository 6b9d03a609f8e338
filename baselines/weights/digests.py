"""Digests of texts, such as names, settings and other digests."""

from __future__ import annotations

import hashlib


def text_digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of a text's sha256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
