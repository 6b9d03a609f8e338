"""Parts of models that packages offer by entry point: fusion operators, heads and tuning policies.

A part is declared by one statement beside its code, such as `film = FusionOperator("film", ...)`. Where all that this
says are literals, it is read from the source without running the file: to list what is installed and to say what a
model is made of, nobody waits for torch. Any other declaration is imported, and means the same.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from harness.entry_points import (
    PackagePlaces,
    as_plugin_error,
    entries_of,
    entry_of,
    import_entry,
    owner_of,
    places_of_packages,
)
from harness.errors import PluginError, UsageError, nearest

GROUPS: Final[Mapping[str, str]] = {"fusion": "fusion operator", "heads": "head", "tuning": "tuning policy"}
"""What each group of parts (`bench.GROUP`) holds, in words."""


@runtime_checkable
class PluginPart(Protocol):
    """What a part says of itself; its group asks for more."""

    name: str
    summary: str
    settings: Mapping[str, Any]
    """Its own options with their defaults, `--set model.NAME=VALUE`."""


def part_names(group: str) -> list[str]:
    """Name the installed parts of a group, whether they work or not."""
    return list(entries_of(f"bench.{group}"))


def load_part(group: str, name: str) -> Any:
    """Load what a part says of itself; raises UsageError for an unknown one, PluginError for a broken one."""
    return _loaded(group, name, places_of_packages())


@lru_cache(maxsize=256)
def _loaded(group: str, name: str, _places: PackagePlaces) -> Any:
    """Load a part once for what is installed in the `_places` of packages: dozens of models ask for the same ones."""
    entries = entries_of(f"bench.{group}")
    if name not in entries:
        raise UsageError(f"Unknown {GROUPS[group]} '{name}'. {nearest(name, entries)} See 'bench list {group}'.")
    entry = entry_of(entries, name)
    declared = _read(entry)
    part = import_entry(entry, GROUPS[group]) if declared is None else declared
    misfit = _misfit(part, name)
    if misfit is not None:
        raise PluginError(
            f"The {GROUPS[group]} plugin '{name}' ({entry.value}) does not fit: {misfit}. Mend {owner_of(entry)}."
        )
    return part


def _misfit(part: Any, name: str) -> str | None:
    """Say how what an entry point names is no part of that name; None where it is."""
    if isinstance(part, type) or not isinstance(part, PluginPart):
        return f"it is {part!r:.80}; the entry point must name an object with a name, a summary and settings"
    if part.name != name:
        return f"it calls itself '{part.name}'; its name and its entry point must be equal"
    return (
        None
        if isinstance(part.settings, Mapping)
        else f"its settings are {part.settings!r:.80}; wanted defaults by name"
    )


def load_parts(group: str) -> tuple[list[Any], list[PluginError]]:
    """Load every installed part of a group, in the order of their names, and what went wrong with the others."""
    loaded, broken, places = [], [], places_of_packages()
    for name in sorted(part_names(group)):
        try:
            loaded.append(_loaded(group, name, places))
        except PluginError as error:
            broken.append(error)
    return loaded, broken


def part_defaults() -> dict[str, Any]:
    """The own settings of all installed parts, with their defaults; parts may share a setting."""
    return dict(_defaults(places_of_packages()))


@lru_cache(maxsize=4)
def _defaults(_places: PackagePlaces) -> Mapping[str, Any]:
    """Those of what is installed in the `_places` of packages."""
    return {name: value for group in GROUPS for part in load_parts(group)[0] for name, value in part.settings.items()}


def load_code(place: str) -> Any:
    """Import what a part names as `package.module:Name`; raises PluginError where it is not there."""
    return import_entry(EntryPoint(place.rpartition(":")[2], place, "code"), "model part")


def _read(entry: EntryPoint) -> Any:
    """Make what a file declares in literals, without running it; None where it says so in another way.

    A file that cannot be found or parsed says nothing here: to import it tells what is wrong.
    """
    try:
        origin = _origin(entry.module)
        found = _declared(origin, entry.attr) if origin.endswith(".py") else None
    except (ImportError, SyntaxError, OSError):
        return None
    if found is None:
        return None
    with as_plugin_error(f"The plugin '{entry.name}' ({entry.value}) declares what cannot be made"):
        kind = getattr(importlib.import_module(found.module), found.kind)
        return kind(*found.arguments, **found.keywords)


@dataclass(frozen=True)
class _Declaration:
    """`kind(*arguments, **keywords)`, of a class that the file imports from `module`."""

    module: str
    kind: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


def _origin(module: str) -> str:
    """Find the file of a module without running it; raises ImportError where there is none."""
    loaded = sys.modules.get(module)
    spec = loaded.__spec__ if loaded is not None and loaded.__spec__ is not None else importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(module)
    return str(spec.origin)


def _declared(file: str, name: str) -> _Declaration | None:
    """Find `name = Kind(literals)` in a file; the last one counts, as in Python."""
    body = ast.parse(Path(file).read_text(encoding="utf-8")).body
    sources = {alias.asname or alias.name: node.module for node in body if isinstance(node, ast.ImportFrom)
               for alias in node.names if node.level == 0}  # fmt: skip
    calls = [
        node.value
        for node in body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]
    call = calls[-1] if calls else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in sources:
        return None
    try:
        arguments = tuple(ast.literal_eval(value) for value in call.args)
        keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        return None
    return _Declaration(str(sources[call.func.id]), call.func.id, arguments, keywords)
