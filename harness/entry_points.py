"""What is installed as plugins: entry points by group and name, and the errors of what they name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from typing import Any

from harness.errors import BenchError, PluginError
from harness.text.error_text import named_error

Entries = Mapping[str, Sequence[EntryPoint]]
"""What is installed in a group of entry points, by name."""
PackagePlaces = tuple[tuple[str, int], ...]
"""Folders of packages, each with the time of its last change: what is read for one state of them is kept for it."""


def entries_of(group: str) -> Entries:
    """Find what is installed in a group by name, in the order in which it is found."""
    return _installed(places_of_packages()).get(group, {})


def places_of_packages() -> PackagePlaces:
    """The folders in which packages are looked for, and when each was last changed, in ns."""
    return tuple((place, _changed(place)) for place in sys.path)


@lru_cache(maxsize=4)
def _installed(places: PackagePlaces) -> Mapping[str, Entries]:
    """Read every package's metadata, anew whenever something was put into or taken from the `places` of packages."""
    found: dict[str, dict[str, list[EntryPoint]]] = {}
    every: Any = entry_points()
    for entry in chain.from_iterable(dict.values(every)) if isinstance(every, dict) else every:  # a dict up to 3.11
        found.setdefault(entry.group, {}).setdefault(entry.name, []).append(entry)
    return found


def _changed(place: str) -> int:
    """When a folder of packages was last changed, in ns; 0 where there is none."""
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116  # a Path takes ten times as long
    except OSError:
        return 0


def entry_of(entries: Entries, name: str) -> EntryPoint:
    """Take an entry point; raises PluginError where two packages offer it."""
    first, *others = entries[name]
    for other in others:
        if other.value != first.value:
            raise PluginError(
                f"Two packages offer '{name}' in {first.group}: {owner_of(first)} ({first.value}) and "
                f"{owner_of(other)} ({other.value}). Uninstall one of them."
            )
    return first


def import_entry(entry: EntryPoint, kind: str) -> Any:
    """Import what an entry point names; raises PluginError that says what went wrong and whose it is."""
    try:
        return entry.load()
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The {kind} plugin '{entry.name}' ({entry.value}) cannot be imported: "
            f"{named_error(error)}. Mend or uninstall {owner_of(entry)}."
        ) from error


def owner_of(entry: EntryPoint) -> str:
    """Name the package that offers an entry point, for messages."""
    return f"the package '{entry.dist.name}'" if entry.dist else "its package"


@contextmanager
def as_plugin_error(what: str) -> Iterator[None]:
    """Turn whatever a plugin's own code raises into a PluginError that begins with these words."""
    try:
        yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{what}: {named_error(error)}. Mend it, uninstall it, or leave it out (--exclude)."
        ) from error
