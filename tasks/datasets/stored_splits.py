"""Splits on disk: read when they are asked for, and checked for what all of them must have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from harness.protocols import DataContext
from harness.sample import Note
from harness.storage.content import Contents
from tasks.formats.coco_entries import ImageEntry, require_image_sizes
from tasks.formats.coco_layout import ROLES
from tasks.formats.digests import digest_of_files

_Stored = TypeVar("_Stored")


class Noted(Protocol):
    """A stored split that says what must be known of it."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is left out or suspect."""
        ...


class LazySplits(Mapping[str, _Stored], Generic[_Stored]):
    """The splits of a data set by name; each is read once, when it is first asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], _Stored]) -> None:
        self._names, self._read = tuple(names), read
        self._found: dict[str, _Stored] = {}

    def __getitem__(self, name: str) -> _Stored:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def stored_names(found: Collection[str]) -> tuple[str, ...]:
    """Order the splits that can have a role."""
    return tuple(split for split in ROLES if split in found)


def split_notes_of(splits: Mapping[str, Noted]) -> tuple[Note, ...]:
    """Gather what the readers of splits have noted, each under its split."""
    return tuple(replace(note, split=split) for split, stored in splits.items() for note in stored.notes)


def check_sizes_once(
    images: Sequence[ImageEntry], sources: Sequence[Path], context: DataContext, contents: Contents
) -> None:
    """Check stated sizes against the images themselves; files that have passed are not opened a second time.

    Boxes and maps lie on the upright image, so a size that is turned or wrong would move all of them.
    """
    digest = digest_of_files((), sources, ((image.path.name, image.path) for image in images), contents)
    note = context.cache / "checked-sizes" / digest
    if note.is_file():
        return
    context.progress(f"checking the sizes of {len(images)} images", 0, 0)
    require_image_sizes(images, sources[0])
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
