"""What is known of data sets that have a name: one TOML file each, in packages of the entry points `bench.data_sets`.

The file's name is the data set's. A plugin adds names by an entry point whose value is a package that holds such files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from harness.entry_points import entries_of, entry_of, import_entry, owner_of
from harness.errors import DataError, PluginError, UsageError, nearest

_STRICT = pydantic.ConfigDict(extra="forbid")
_Hex = Annotated[str, Field(pattern="^[0-9a-f]+$")]


def _inside(path: str) -> str:
    if not path or path.startswith("/") or "\\" in path or ".." in path.split("/"):
        raise ValueError("wanted a path below the data set's folder")
    return path


_Inside = Annotated[str, AfterValidator(_inside)]
_Url = Annotated[str, Field(pattern="^https?://")]
_FileName = Annotated[str, Field(pattern=r"^[^/\\]+$")]
_Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]


@dataclass(frozen=True, config=_STRICT)
class RemoteFile:
    """A file that a data set is made of: an archive, or a file that is kept as it is.

    `urls` are tried in order, and are empty for one that only the user can bring. `bytes` and a digest are of the file
    as it is served; where both digests are unknown, what was got is put on record. `to` is the folder below the data
    set's into which an archive is unpacked, without its first `strip` folders. `prepare` names a function
    (`module:function`) that brings what was unpacked into a layout that the readers know; it takes the folder.
    """

    name: _FileName
    urls: tuple[_Url, ...] = ()
    bytes: int | None = None
    sha256: _Hex | None = None
    md5: _Hex | None = None
    unpack: bool = True
    to: _Inside = "."
    strip: int = 0
    prepare: _Function | None = None
    unpacked_bytes: int | None = None

    @property
    def has_known_digest(self) -> bool:
        """Whether a wrong byte would be noticed."""
        return self.sha256 is not None or self.md5 is not None


@dataclass(frozen=True, config=_STRICT)
class SingleImages:
    """Where a part's images can be had one by one: `{name}` in the URLs is an image's file name.

    `choose` names a function (`module:function`) that takes the folder with the annotations, the part's name, the
    number of images and a seed, leaves annotations of the chosen images alone, and returns their file names.
    """

    urls: tuple[_Url, ...]
    to: _Inside
    choose: _Function


@dataclass(frozen=True, config=_STRICT)
class SetPart:
    """What can be got on its own; `default` parts are got where none is named."""

    files: tuple[RemoteFile, ...]
    title: str = ""
    default: bool = True
    needs: tuple[str, ...] = ()
    single: SingleImages | None = None


@dataclass(frozen=True, config=_STRICT)
class KnownSet:
    """A data set with a name.

    `gated` says how permission is had, for sets that nobody may fetch for the user; empty for the others. `root` is the
    folder below the set's own that `--data` means.
    """

    title: str
    licence: str
    homepage: _Url
    layout: str
    tasks: tuple[str, ...]
    parts: Mapping[str, SetPart]
    gated: str = ""
    root: _Inside = "."
    name: str = ""

    def chosen_parts(self, wanted: Sequence[str]) -> dict[str, SetPart]:
        """Give the parts that are asked for and those they need, the needed first; raises UsageError for another."""
        for name in wanted:
            if name not in self.parts:
                raise UsageError(f"{self.name} has no part '{name}'. {nearest(name, self.parts)}")
        names = wanted or [name for name, part in self.parts.items() if part.default]
        ordered = dict.fromkeys(each for name in names for each in (*self.parts[name].needs, name))
        return {name: self.parts[name] for name in ordered}


def known_sets() -> tuple[dict[str, KnownSet], list[PluginError]]:
    """Read every data set that has a name, and what went wrong with files of plugins."""
    found: dict[str, KnownSet] = {}
    broken = []
    entries = entries_of("bench.data_sets")
    for name in entries:
        try:
            entry = entry_of(entries, name)
            package = import_entry(entry, "data sets")
            for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
                if file.name.endswith(".toml"):
                    known = parse_known_set(file.name.removesuffix(".toml"), file.read_text("utf-8"), owner_of(entry))
                    found.setdefault(known.name, known)
        except PluginError as error:
            broken.append(error)
    return dict(sorted(found.items())), broken


def known_set(name: str) -> KnownSet:
    """Find a data set by name; raises DataError for one that is not known."""
    known, broken = known_sets()
    if name in known:
        return known[name]
    trouble = f" {broken[0]}" if broken else ""
    raise DataError(f"No data set is called '{name}'. {nearest(name, known)} See 'bench data list'.{trouble}")


def parse_known_set(name: str, text: str, owner: str = "it") -> KnownSet:
    """Read one file of TOML; raises PluginError that names the key that is wrong."""
    try:
        content: dict[str, Any] = tomllib.loads(text)
        known = pydantic.TypeAdapter(KnownSet).validate_python({"name": name} | content)
        missing = {need for part in known.parts.values() for need in part.needs} - known.parts.keys()
        if missing:
            raise ValueError(f"a part needs '{missing.pop()}', which is none")
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PluginError(f"Data set '{name}': {place}: {first['msg']}. Mend {owner}.") from error
    except ValueError as error:
        raise PluginError(f"Data set '{name}': {error}. Mend {owner}.") from error
    return known
