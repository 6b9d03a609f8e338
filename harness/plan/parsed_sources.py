"""Files that were taken apart before, and closures that were followed before, by the digest of what they hold.

To parse all that a job uses takes most of a second. What is remembered is never needed: a file of the cache that is
broken or cannot be written is left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import PluginError
from harness.files import replace_atomically
from harness.plan.source_parts import Module, SourcePart, read_module

_FORM = 1
"""Raise it whenever the same file is taken apart, or followed, otherwise."""
_MOST = 4000
"""So many things are remembered at most: then it begins anew."""


@dataclass
class RememberedSources:
    """JSON values by key in one file, None for a memory of this process alone."""

    place: Path | None
    _known: dict[str, Any] | None = None
    _fresh: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        """What is known under a key, None for nothing."""
        return self._fresh.get(key, self._remembered().get(key))

    def put(self, key: str, value: Any) -> None:
        """Know a value from now on."""
        self._fresh[key] = value

    def keep(self) -> None:
        """Write what is new to the file."""
        if self.place is None or not self._fresh:
            return
        known = self._remembered()
        content = json.dumps({**(known if len(known) < _MOST else {}), **self._fresh}, separators=(",", ":")).encode()
        with suppress(OSError):
            self.place.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self.place) as temporary:
                temporary.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)

    def _remembered(self) -> Mapping[str, Any]:
        if self._known is None:
            self._known = {}
            with suppress(OSError, ValueError):
                digest, _, content = self.place.read_bytes().partition(b"\n") if self.place else (b"", b"", b"")
                if digest == hashlib.sha256(content).hexdigest().encode():
                    self._known = json.loads(content)
        return self._known


class ParsedSources:
    """Reads files as modules, each once; `cache` is where what was found is remembered (None: nowhere)."""

    def __init__(self, cache: Path | None = None) -> None:
        self.closures = RememberedSources(cache and cache / "code" / f"closures-{_FORM}.json")
        self._modules = RememberedSources(cache and cache / "code" / f"parsed-{_FORM}.json")
        self._contents: dict[Path, tuple[bytes, str]] = {}

    def state(self, path: Path, name: str) -> str:
        """Digest a file; raises PluginError for one that cannot be read."""
        return self._content(path, name)[1]

    def read(self, path: Path, name: str) -> Module:
        """Take a file apart; raises PluginError for one that cannot be read or is no Python."""
        content, digest = self._content(path, name)
        if path.suffix != ".py":
            return Module({}, {}, (SourcePart(digest[:16]),))
        package = path.name == "__init__.py"
        key = hashlib.sha256(f"{name} {package} {digest}".encode()).hexdigest()
        if (known := self._modules.get(key)) is not None:
            return _from_json(known)
        try:
            module = _read(content, name, package)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise _unreadable(path, name, error) from None
        self._modules.put(key, _to_json(module))
        return module

    def keep(self) -> None:
        """Remember what was found since."""
        self._modules.keep()
        self.closures.keep()

    def _content(self, path: Path, name: str) -> tuple[bytes, str]:
        if path not in self._contents:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise _unreadable(path, name, error) from None
            self._contents[path] = content, hashlib.sha256(content).hexdigest()
        return self._contents[path]


def _unreadable(path: Path, name: str, error: Exception) -> PluginError:
    return PluginError(f"The source of '{name}' ({path}) cannot be read: {error}. Mend its package.")


@lru_cache(maxsize=2000)
def _read(content: bytes, name: str, package: bool) -> Module:
    """Take the same file apart once a process, whatever cache a run has."""
    return read_module(content, name, package=package)


def _to_json(module: Module) -> list[Any]:
    parts = {name: [astuple(part) for part in parts] for name, parts in module.parts.items()}
    loose = [astuple(part) for part in module.loose]
    return [parts, dict(module.imports), loose, module.registered, module.stars, module.idle]


def _from_json(content: list[Any]) -> Module:
    parts, imports, loose, registered, stars, idle = content
    return Module(
        {name: tuple(map(_part, each)) for name, each in parts.items()},
        {name: (module, own) for name, (module, own) in imports.items()},
        tuple(map(_part, loose)),
        tuple((name, decorator) for name, decorator in registered),
        tuple(stars),
        tuple(idle),
    )


def _part(content: list[Any]) -> SourcePart:
    digest, uses, imports, places, words = content
    return SourcePart(digest, tuple(uses), tuple(map(tuple, imports)), tuple(map(tuple, places)), tuple(words))
