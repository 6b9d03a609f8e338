"""Where the machine's places are: nothing else looks at environment variables for the cache or the data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.plan.run_plan import Environment


def environment(command: str) -> Environment:
    """Read where the cache and the data are; `command` is told in records.

    Raises StoreError where there can be no cache. One that is there may be read-only: what it holds is used.
    """
    from harness.plan.run_plan import Environment

    wish = cache_wish()
    if wish is None:
        raise StoreError(
            "There is no place for the cache: HOME is not set, and this user has no entry in passwd. Set BENCH_CACHE "
            "to a folder that can be written, or HOME."
        )
    cache = Path(wish)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The cache {cache} cannot be made: {error.strerror}. Set BENCH_CACHE to a folder that can be written."
        ) from None
    return Environment(Path.cwd(), cache, os.environ.get("BENCH_DATA") or None, command)


def cache_wish() -> str | None:
    """Say where the cache is to be: $BENCH_CACHE, else below $XDG_CACHE_HOME or home; None where there is no home."""
    wish = os.environ.get("BENCH_CACHE")
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache") if not wish else ""
        return str(Path(wish or f"{base}/fusemark").expanduser())
    except RuntimeError:  # neither HOME nor an entry in passwd: `docker --user 54321`
        return None
