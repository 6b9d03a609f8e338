"""The code that some definitions reach, by imports anywhere in it and by strings that name code.

What is reached are parts of files (`harness.source_parts`), of the harness and of packages with plugins; libraries
are known by their versions. A name counts as read wherever it stands, so that too much is reached rather than too
little. Not seen is what a registry gets without any import that names it, and code that is put together as text.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path

from harness.errors import PluginError
from harness.plan.parsed_sources import ParsedSources
from harness.plan.source_parts import WHOLE, Module, SourcePart

Definition = tuple[str, str]
"""A module and a name in it: a definition, `Class.method`, a class's head alone (its name and HEAD), or WHOLE."""
HEAD = "."
PARTS_MODULE = "harness.plan.parts"
"""Whose `load_part` and `load_parts` find parts of models in groups of entry points."""


@dataclass(frozen=True)
class NamedParts:
    """What is named where nobody can read it in the code: by a plugin's fields and by options.

    `strings` select among the entry points of groups, and the places in tables, that the code looks into.
    """

    strings: frozenset[str] = frozenset()


NOBODY = NamedParts()
"""Nothing is named."""


@dataclass
class Codebase:
    """The source of the packages whose code counts; a file is read once, so use a new one for new code.

    `stops` are modules that are reached and not looked into; `entries` the installed entry points by group.
    """

    packages: frozenset[str]
    sources: ParsedSources
    entries: Mapping[str, Collection[EntryPoint]] = field(default_factory=dict)
    stops: frozenset[str] = frozenset()
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _places: dict[str, Path | None] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _folders: dict[str, frozenset[str]] = field(default_factory=dict)

    def digest(self, roots: Iterable[Definition], named: NamedParts = NOBODY) -> str:
        """Digest all that some definitions reach, 16 hexadecimal digits; raises PluginError where one is not found.

        One that was followed before is known again as long as every file is the same that was looked at then.
        """
        roots = sorted(roots)
        key = self._key(roots, named)
        known = self.sources.closures.get(key)
        if known is not None and all(self._state(name) == state for name, state in known[1].items()):
            return str(known[0])
        before, self._asked = self._asked, set()
        digest = code_digest_of(self.reached(roots, named))
        self.sources.closures.put(key, [digest, {name: self._state(name) for name in sorted(self._asked)}])
        self._asked |= before
        return digest

    def reached(self, roots: Iterable[Definition], named: NamedParts = NOBODY) -> list[tuple[str, SourcePart]]:
        """List the parts that some definitions reach, each with its module; raises PluginError for a missing root."""
        search = _Search(self, named)
        for module, name in roots:
            if self.module(module) is None:
                raise PluginError(f"The source of '{module}' cannot be found; install its package again.")
            search.add(module, name)
        return search.run()

    def is_own(self, module: str) -> bool:
        """Whether a module is of the packages whose code counts."""
        return module.partition(".")[0] in self.packages

    def module(self, name: str) -> Module | None:
        """Read a module; None where there is no file of it."""
        self._asked.add(name)
        if name not in self._modules:
            path = self._path(name) if self.is_own(name) else None
            self._modules[name] = None if path is None else self.sources.read(path, name)
        return self._modules[name]

    def target(self, text: str) -> Definition | None:
        """What `package.module:Name` or `package.module` means; None where it is no place of this code."""
        place, _, attribute = text.partition(":")
        return (place, attribute.partition(".")[0] or WHOLE) if self.module(place) is not None else None

    def installed(self, group: str) -> dict[str, list[Definition]]:
        """Where the entry points of a group are, by name."""
        found = {entry.name: self.target(entry.value) for entry in self.entries[group]}
        return {name: [target] for name, target in found.items() if target is not None}

    def under(self, prefix: str) -> Iterator[str]:
        """Name the modules whose name begins so: all of a package after `package.`."""
        self._asked.add(prefix)
        package, _, beginning = prefix.rpartition(".")
        folder = self._path(package)
        if folder is None or folder.name != "__init__.py":
            return
        for path in sorted(folder.parent.iterdir()):
            is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
            if is_module and path.name.startswith(beginning) and path.stem != "__init__":
                yield f"{package}.{path.stem}"

    def _key(self, roots: Iterable[Definition], named: NamedParts) -> str:
        entries = {group: sorted((e.name, e.value) for e in each) for group, each in self.entries.items()}
        asked = [list(roots), sorted(named.strings), sorted(self.packages), sorted(self.stops), entries]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _state(self, name: str) -> str:
        """Digest what there is under a name: a file, the names under a prefix, or nothing."""
        if name.endswith("."):
            return ",".join(self.under(name))
        path = self._path(name) if self.is_own(name) else None
        return "" if path is None else self.sources.state(path, name)

    def _path(self, name: str) -> Path | None:
        package, _, rest = name.partition(".")
        if package not in self._places:
            self._places[package] = _origin(package)
        origin = self._places[package]
        if origin is None or not rest:
            return origin
        *folders, last = rest.split(".")
        folder = "/".join((str(origin.parent), *folders))
        there = self._listed(folder)
        if f"{last}.py" in there:
            return Path(folder, f"{last}.py")
        if last in there and "__init__.py" in self._listed(f"{folder}/{last}"):
            return Path(folder, last, "__init__.py")
        compiled = (name for name in sorted(there) if name.startswith(f"{last}.") and name.endswith(".so"))
        return next((Path(folder, name) for name in compiled), None)

    def _listed(self, folder: str) -> frozenset[str]:
        """The names in a folder, none where it is no folder; read once, since most that are asked for are not there."""
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(path.name for path in Path(folder).iterdir())
            except OSError:
                self._folders[folder] = frozenset()
        return self._folders[folder]


def code_digest_of(parts: Iterable[tuple[str, SourcePart]]) -> str:
    """Digest parts wherever they stand, 16 hexadecimal digits."""
    digests = sorted(part.digest for _, part in parts)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def _origin(package: str) -> Path | None:
    """The file of a top-level package or module, which need not be imported; None where it has none."""
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # in memory without a spec, as `__main__`
        spec = None
    if spec is None or spec.origin is None:
        known = getattr(sys.modules.get(package), "__file__", None)
        return None if known is None else Path(known)
    return Path(spec.origin) if Path(spec.origin).is_file() else None


class _Search:
    """Follows what parts read, import and name until nothing new is found."""

    def __init__(self, code: Codebase, named: NamedParts) -> None:
        self.code, self.words = code, set(named.strings)
        self.choices: list[_Choice] = []
        self.seen: set[Definition] = set()
        self.waiting: list[Definition] = []
        self.loaded: set[str] = set()
        self.found: dict[Definition, SourcePart] = {}

    def run(self) -> list[tuple[str, SourcePart]]:
        while self.waiting:
            self._reach(*self.waiting.pop())
            if not self.waiting:
                self._choose()
        return [(module, part) for (module, _), part in self.found.items()]

    def add(self, module: str, name: str) -> None:
        """Have a definition looked at, unless it was, or is of a library."""
        if (module, name) not in self.seen and self.code.is_own(module):
            self.seen.add((module, name))
            self.waiting.append((module, name))

    def _reach(self, name: str, wanted: str) -> None:
        module = self.code.module(name)
        if module is None or name in self.code.stops:
            return
        self._load(name, module)
        if wanted == WHOLE:
            for own in (*module.parts, *module.imports):
                self.add(name, own)
            for star in module.stars:
                self.add(star, WHOLE)
        elif wanted.endswith(HEAD) and wanted.removesuffix(HEAD) in module.parts:
            self._take(name, module, module.parts[wanted.removesuffix(HEAD)][0])
        elif wanted in module.parts:
            self._take_definition(name, module, wanted)
        elif wanted in module.imports:
            self._import(*module.imports[wanted])
        elif wanted.partition(".")[0] not in module.parts:  # else a method that no source has, as of a dataclass
            self._take_unbound(name, module, wanted)

    def _load(self, name: str, module: Module) -> None:
        """Take in what runs when a module is imported, and the packages around it."""
        if name in self.loaded:
            return
        self.loaded.add(name)
        for part in module.loose:
            self._take(name, module, part)
        for own in module.idle:
            self._import(*module.imports[own])
        for own, decorator in module.registered:
            if self._is_own_decorator(module, decorator.partition(".")[0]):
                self.add(name, own)
        package = name.rpartition(".")[0]
        if package and (around := self.code.module(package)) is not None and package not in self.code.stops:
            self._load(package, around)

    def _is_own_decorator(self, module: Module, name: str) -> bool:
        return name in module.parts or (name in module.imports and self.code.is_own(module.imports[name][0]))

    def _take_definition(self, name: str, module: Module, wanted: str) -> None:
        for part in module.parts[wanted]:
            self._take(name, module, part, wanted.partition(".")[0] if "." in wanted else None)
        for member in module.members(wanted):
            self.add(name, member)

    def _take_unbound(self, name: str, module: Module, wanted: str) -> None:
        """A submodule, or what comes by a star or by `__getattr__`; where it is none of these all is taken."""
        if self.code.module(f"{name}.{wanted}") is not None:
            self.add(f"{name}.{wanted}", WHOLE)
        elif module.stars:
            for star in module.stars:
                self.add(star, wanted)
        else:
            self.add(name, WHOLE)

    def _import(self, module: str, name: str) -> None:
        """Reach what an import names; to import a module is to load the packages around it."""
        if name != WHOLE and self.code.is_own(module) and self.code.module(f"{module}.{name}") is not None:
            own = self.code.module(module)
            if own is None or (name not in own.parts and name not in own.imports):
                self.add(f"{module}.{name}", WHOLE)
                return
        self.add(module, name)

    def _take(self, name: str, module: Module, part: SourcePart, owner: str | None = None) -> None:
        """Take in a part and what it reads; `owner` is the class whose method it is."""
        if (name, part.digest) in self.found:
            return
        self.found[name, part.digest] = part
        for use in part.uses:
            self._use(name, module, use, owner)
        for target in part.imports:
            self._import(*target)
        self.words.update(part.words)
        self._take_places(part.places)
        self._take_groups(
            part, {own for source, own in (*module.imports.values(), *part.imports) if source == PARTS_MODULE}
        )

    def _use(self, name: str, module: Module, use: str, owner: str | None) -> None:
        base, _, attribute = use.partition(".")
        if base in ("self", "cls") and owner is not None:
            if f"{owner}.{attribute}" in module.parts:
                self.add(name, f"{owner}.{attribute}")
        elif base in module.parts:
            self.add(name, base)
        elif base in module.imports:
            source, imported = module.imports[base]
            whole = source if imported == WHOLE else f"{source}.{imported}"
            if attribute and self.code.module(whole) is not None:
                self._import(whole, attribute)
            else:
                self._import(source, imported)
        else:
            for star in module.stars:
                self.add(star, base)

    def _take_places(self, places: Iterable[tuple[str, str]]) -> None:
        """Reach what strings name; where several stand under keys, or under one package, a name chooses among them."""
        table: dict[str, list[Definition]] = {}
        for key, text in places:
            if text in self.code.entries:
                self.choices.append(_Choice(self.code.installed(text), needs_name=True))
            elif text.endswith(".") and self.code.is_own(text):
                under = {module.rpartition(".")[2]: [(module, WHOLE)] for module in self.code.under(text)}
                self.choices.append(_Choice(under))
            elif (target := self.code.target(text)) is not None:
                table.setdefault(key, []).append(target)
        for target in table.pop("", ()):
            self.add(*target)
        if table:
            self.choices.append(_Choice(table))

    def _take_groups(self, part: SourcePart, loaders: Collection[str]) -> None:
        """Reach the parts of models of a group that a module loads: those that are named, or all where it loads all."""
        for group in (f"bench.{word}" for word in part.words if loaders and f"bench.{word}" in self.code.entries):
            places = self.code.installed(group)
            if "load_part" in loaders:
                self.choices.append(_Choice(places, needs_name=True))
            elif "load_parts" in loaders:
                for target in (target for each in places.values() for target in each):
                    self.add(*target)

    def _choose(self) -> None:
        """Reach what a name has chosen; where nothing is left to look at, all of what no name chooses among."""
        for choice in self.choices:
            for target in choice.chosen(self.words):
                self.add(*target)
        if not self.waiting:
            for choice in self.choices:
                for target in choice.rest():
                    self.add(*target)


@dataclass
class _Choice:
    """Code by name, of which some is used; that of entry points is used only where it is named."""

    places: Mapping[str, Collection[Definition]]
    needs_name: bool = False
    named: bool = False

    def chosen(self, words: Collection[str]) -> list[Definition]:
        """What is known to be used so far."""
        names = [name for name in self.places if name in words]
        self.named = self.named or bool(names)
        return [target for name in names for target in self.places[name]]

    def rest(self) -> list[Definition]:
        """All of it, where nobody has named any."""
        return [] if self.named or self.needs_name else [target for each in self.places.values() for target in each]
