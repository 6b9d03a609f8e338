"""Where the code of a plugin begins: the classes that it is of, and the functions and names that its fields hold."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

from harness.plan.import_closure import HEAD, Definition
from harness.plan.source_parts import WHOLE

_UNTOLD = frozenset({"name", "summary"})
"""Fields that only name or describe."""


@dataclass
class PluginCode:
    """What is known of an object: `targets` in the code, `strings` that may select more of it, `values` of its fields.

    Values are those that are the same on every machine: no paths.
    """

    targets: set[Definition] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    values: list[str] = field(default_factory=list)
    _seen: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *objects: Any) -> PluginCode:
        """Gather what some objects use, with all of the classes that they are of."""
        found = cls()
        for each in objects:
            found.add(each)
        return found

    def add(self, value: Any) -> None:
        """Take in an object and what its fields hold."""
        if isinstance(value, str | int | float | bool | bytes | None):
            self._add_plain(value)
        elif id(value) not in self._seen:
            self._seen[id(value)] = value  # held, so that no other object gets its id
            self._add_object(value)

    def _add_plain(self, value: Any) -> None:
        self.values.append(ascii(value))
        if isinstance(value, str):
            self.strings.add(value)

    def _add_object(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._add_all([*value.keys(), *value.values()])
        elif isinstance(value, list | tuple):
            self._add_all(value)
        elif isinstance(value, set | frozenset):
            self._add_all(sorted(value, key=repr))
        elif isinstance(value, functools.partial):
            self._add_all([value.func, *value.args, value.keywords])
        elif isinstance(value, MethodType):
            self._add_all([value.__func__, value.__self__])
        elif isinstance(value, FunctionType):
            self.targets.add(place_of(value))
            self._add_all([cell.cell_contents for cell in value.__closure__ or ()])
        elif isinstance(value, type):
            self.targets.add(place_of(value))
        else:
            self.targets.add(place_of(type(value)))
            self._add_all(content for name, content in sorted(fields_of(value).items()) if name not in _UNTOLD)

    def _add_all(self, values: Any) -> None:
        for value in values:
            self.add(value)


def fields_of(value: Any) -> Mapping[str, Any]:
    """What an object holds, by name."""
    slots = (name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()))
    return {name: getattr(value, name) for name in slots if hasattr(value, name)} | dict(getattr(value, "__dict__", {}))


def place_of(defined: Any) -> Definition:
    """Say where a class or a function stands; what stands inside of a function is part of it."""
    name = str(defined.__qualname__).partition(".<locals>")[0]
    return str(defined.__module__), WHOLE if "<" in name else name


def methods_of(plugin: Any, *, only: Collection[str] = (), without: Collection[str] = ()) -> Iterator[Definition]:
    """Name some methods of a plugin, and the heads of the classes that it is of; of each those `only`, or all but some.

    What a language gives a meaning, such as `__init__`, is among them in any case.
    """
    for kind in type(plugin).__mro__:
        module, name = place_of(kind)
        yield module, f"{name}{HEAD}"
        for method in vars(kind):
            always = method.startswith("__") and method.endswith("__")
            if always or (method in only if only else method not in without):
                yield module, f"{name}.{method}"
