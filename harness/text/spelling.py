"""Names from outside: one spelling by which they match, and bytes for digests whatever they hold.

macOS writes file names decomposed (NFD: an e and a combining accent), other systems as they are typed (mostly NFC), so
that names which look alike may differ. A file name that is not UTF-8 holds lone surrogates in Python (PEP 383).
"""

from __future__ import annotations

import unicodedata


def normal_form(name: str) -> str:
    """Compose a name (NFC): names that look alike become equal."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def readable_name(name: str) -> str:
    """Write bytes of a file name that are not UTF-8 as `\\xe9`, so that it can be printed, stored and typed."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def name_bytes(name: str) -> bytes:
    """Encode a name for a digest: UTF-8, lone surrogates included, so that no name from a disk raises."""
    return name.encode("utf-8", "surrogatepass")
