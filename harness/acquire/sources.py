"""`--data` as `PREFIX:REST` (group `bench.data_sources`): a function turns the rest into a folder that tasks read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.entry_points import entries_of, entry_of, import_entry

Progress = Callable[[str, int, int], None]
Opens = Callable[[str, Path, Progress], Path]
"""Takes what stands behind the prefix, the cache, and whom to tell; returns a folder."""


def folder_of(wish: str | None, cache: Path, progress: Progress) -> str | None:
    """Put a folder in the place of `PREFIX:REST` or of a data set's name in `--data`; anything else stays as it is.

    A name is one that was got, or that is known. Raises DataError for what is not there, UsageError for columns.
    """
    if not wish:
        return wish
    prefix, colon, rest = wish.partition(":")
    sources = entries_of("bench.data_sources")
    if colon and prefix in sources:
        opens: Opens = import_entry(entry_of(sources, prefix), "data source")
        return str(opens(rest, cache, progress))
    if colon or "/" in wish or wish.startswith((".", "~")):
        return wish
    from harness.acquire.installed_sets import require_installed, shelf_of  # which import pydantic: a tenth of a second
    from harness.acquire.known_sets import known_sets

    shelf = shelf_of(cache)
    if shelf.find(wish) is None and (Path(wish).exists() or wish not in known_sets()[0]):
        return wish
    return str(require_installed(shelf, wish).data_folder)
