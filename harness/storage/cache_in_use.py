"""Which cache remembers what files contain and what was made of them, while a command or a job runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_CACHE: ContextVar[Path | None] = ContextVar("cache of file digests", default=None)


@contextmanager
def digests_remembered(cache: Path | str | None) -> Iterator[None]:
    """Have `file_digest` and `Remembered` use what this cache remembers (None: nothing is remembered).

    So jobs need not read what the plan has read already, nor make again what was made of it.
    """
    token = _CACHE.set(None if cache is None else Path(cache))
    try:
        yield
    finally:
        _CACHE.reset(token)


def cache_in_use() -> Path | None:
    """The cache below `digests_remembered`; None where nothing is to be remembered."""
    return _CACHE.get()
