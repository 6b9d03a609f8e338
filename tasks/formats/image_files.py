"""Image files below a folder: whatever the installed Pillow opens, through links too, and a count of all else."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_USUAL = frozenset({".png", ".jpg", ".jpeg"})
"""Known without loading all of Pillow's plugins."""
_NEVER = frozenset({"EPS", "MPEG"})
"""EPS would start Ghostscript on the file; of MPEG nothing but the header is read."""
_SHOWN = 4
_HIDDEN, _NOWHERE, _BACK = "hidden", "links that lead nowhere", "linked folders that lead back above themselves"


@dataclass
class FoundFiles:
    """Images in the order of their names, folder by folder; `left_out` counts the rest by why, `suffixes` by suffix."""

    images: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)

    @property
    def count_left_out(self) -> int:
        """How many files, folders and links were left out."""
        return self.left_out.total() + self.suffixes.total()

    def add(self, other: FoundFiles) -> None:
        """Take in what was found elsewhere."""
        self.images += other.images
        self.left_out += other.left_out
        self.suffixes += other.suffixes

    def describe_left_out(self) -> str:
        """Say what was left out, in words: `8 .heic and 2 .txt that Pillow cannot open, 1 hidden`."""
        parts = [f"{count} {why}" for why, count in sorted(self.left_out.items())]
        if self.suffixes:
            most = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
            more = self.suffixes.total() - sum(count for _, count in most)
            named = [f"{count} {suffix or 'without suffix'}" for suffix, count in most]
            parts.insert(0, f"{' + '.join([*named, *([f'{more} others'] if more else [])])} that are no image format")
        return ", ".join(parts)


def find_image_files(folder: Path) -> FoundFiles:
    """Look through a folder and all below it; linked folders are followed, but for those that lead back above."""
    found = FoundFiles()
    _walk(folder, (), found)
    return found


def image_files_in(folder: Path) -> list[Path]:
    """List the images that lie in a folder itself, by name; files that are no images are left out."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [folder / name for name in names if is_image_name(name) and not is_hidden(name)]


def is_hidden(name: str) -> bool:
    """Tell what systems leave beside files (`.DS_Store`, `._a.png`, `__MACOSX`) by the name."""
    return name.startswith((".", "__MACOSX"))


def is_image_name(name: str) -> bool:
    """Tell by its suffix whether Pillow opens a file."""
    stem, dot, end = name.rpartition(".")  # a Path takes ten times as long
    suffix = f"{dot}{end}".lower() if stem else ""
    return suffix in _USUAL or suffix in image_suffixes()


@cache
def image_suffixes() -> frozenset[str]:
    """All suffixes of formats that the installed Pillow decodes, with their dots, in lower case.

    Each is tried on a small image where Pillow also writes the format: a codec may be missing from its build.
    """
    from PIL import Image

    Image.init()
    formats = Image.registered_extensions()
    decoded = {name for name in set(formats.values()) - _NEVER if _decodes(name)}
    return frozenset(suffix.lower() for suffix, name in formats.items() if name in decoded)


def _decodes(name: str) -> bool:
    from PIL import Image, ImageFile

    if name in Image.SAVE:
        return any(_round_trip(name, mode) for mode in ("RGB", "1"))
    opener: Mapping[str, Any] = Image.OPEN
    factory = opener[name][0] if name in opener else None
    return factory is not None and not (isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile))


def _round_trip(name: str, mode: str) -> bool:
    from PIL import Image

    stream = io.BytesIO()
    try:
        Image.new(mode, (32, 32)).save(stream, name)
        stream.seek(0)
        with Image.open(stream) as image:
            image.load()
    except Exception:  # a plugin may raise anything where its codec is missing
        return False
    return True


def _walk(folder: Path, above: tuple[tuple[int, int], ...], found: FoundFiles) -> None:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if is_hidden(entry.name):
            found.left_out[_HIDDEN] += 1
        elif entry.is_dir():
            _enter(Path(entry.path), above, found)
        elif not entry.is_file():
            found.left_out[_NOWHERE] += 1
        elif is_image_name(entry.name):
            found.images.append(folder / entry.name)
        else:
            found.suffixes[Path(entry.name).suffix.lower()] += 1


def _enter(folder: Path, above: tuple[tuple[int, int], ...], found: FoundFiles) -> None:
    if not above:  # looked up for the first folder in a folder only: most hold files alone
        place = folder.absolute().parent
        above = tuple(_identity(each) for each in (place, *place.parents))
    identity = _identity(folder)
    if identity in above:
        found.left_out[_BACK] += 1
        return
    _walk(folder, (*above, identity), found)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
