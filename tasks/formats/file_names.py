"""Finds files by the names that annotations give them, composed (NFC) or decomposed (NFD) as the disk may be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DataError
from harness.text.spelling import normal_form


def find_files(paths: Sequence[Path], root: Path) -> list[Path | None]:
    """Find each path below `root` as the disk spells it, None where it is not there; each folder is listed once.

    Raises DataError where two files have names that look alike and none is spelled as it was asked for.
    """
    listings = _Listings(root)
    return [listings.find(path) for path in paths]


def require_files(paths: Sequence[Path], named_by: Path, folder: Path) -> list[Path]:
    """Find files below `folder` as the disk spells them; raises DataError once, with the count and the first three."""
    found = find_files(paths, folder)
    missing = [path for path, there in zip(paths, found, strict=True) if there is None]
    if missing:
        shown = ", ".join(ascii_safe(path) for path in missing[:3])
        raise DataError(
            f"{named_by} names {len(missing)} of {len(paths)} files that are not there (looked for {shown}). "
            f"{_hint(missing[0], folder)}Put them there or leave them out of the file."
        )
    return [path for path in found if path is not None]


def require_names(names: Sequence[str], named_by: Path, folder: Path) -> list[Path]:
    """Find files by their names below `folder`, as `require_files` does; fast where the names are those on the disk."""
    try:
        with os.scandir(folder) as listing:  # a quarter of the time of `iterdir`, which makes a Path of each
            there = {entry.name for entry in listing}
    except OSError:
        there = set()
    if there.issuperset(names):  # a name with a folder in it is no entry of a listing
        return [folder / name for name in names]
    return require_files([folder / name for name in names], named_by, folder)


def ascii_safe(path: Path | str) -> str:
    """Write a name for a message: what is no text (NUL, lone surrogates) is escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


@dataclass
class _Listings:
    """What is in the folders that have been looked into."""

    root: Path
    exact: dict[Path, frozenset[str]] = field(default_factory=dict)
    alike: dict[Path, dict[str, list[str]]] = field(default_factory=dict)
    spelled: dict[Path, Path | None] = field(default_factory=dict)

    def find(self, path: Path) -> Path | None:
        parent = self._folder(path.parent)
        if parent is None:
            return None
        if path.name in self.exact[parent]:
            return parent / path.name
        names = self._alike(parent).get(normal_form(path.name), [])
        if len(names) > 1:
            raise DataError(
                f"{parent} has {len(names)} files whose names look like {path.name}, in other Unicode forms "
                f"({', '.join(map(ascii, names))}). Keep one."
            )
        return parent / names[0] if names else None

    def _folder(self, path: Path) -> Path | None:
        if path not in self.spelled:
            names = _names(path)
            if names is None and self.root in path.parents:
                self.spelled[path] = found = self.find(path)
                if found is not None and found not in self.exact:
                    self.exact[found] = _names(found) or frozenset()
            else:
                self.spelled[path] = path if names is not None else None
                self.exact[path] = names or frozenset()
        return self.spelled[path]

    def _alike(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self.alike:
            by_form: dict[str, list[str]] = {}
            for name in sorted(self.exact[folder]):
                by_form.setdefault(normal_form(name), []).append(name)
            self.alike[folder] = by_form
        return self.alike[folder]


def _names(folder: Path) -> frozenset[str] | None:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else None


def _hint(path: Path, folder: Path) -> str:
    """Say where a file of that name is instead, if it lies in the folder itself."""
    if path.parent != folder and path.name in (_names(folder) or ()):
        return f"{folder} itself has {path.name}: leave the folder out of the names. "
    return ""
