"""Splits on disk: read when they are asked for, and checked for what all of them must have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from harness.content import Contents
from harness.errors import DataError
from harness.protocols import DataContext
from tasks.formats.coco_entries import ImageEntry, require_image_sizes
from tasks.formats.digests import digest_of_files
from tasks.formats.voc import find_voc_splits

Stored = TypeVar("Stored")


class LazySplits(Mapping[str, Stored], Generic[Stored]):
    """The splits of a data set by name; each is read once, when it is first asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Stored]) -> None:
        self._names, self._read = tuple(names), read
        self._found: dict[str, Stored] = {}

    def __getitem__(self, name: str) -> Stored:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def annotated_voc_splits(folder: Path, kind: str, annotations: Path, suffix: str) -> tuple[str, ...]:
    """List the splits of `ImageSets/<kind>` whose annotations are there.

    VOC publishes lists of test images without their annotations: a first image that has none is one of these.
    """
    return tuple(
        split
        for split in find_voc_splits(folder, kind)
        if (names := (folder / "ImageSets" / kind / f"{split}.txt").read_text("utf-8", "replace").split())
        and (annotations / f"{names[0]}{suffix}").is_file()
    )


def require_splits(root: Path, found: Collection[str], wanted: Sequence[str], what: str) -> None:
    """Raise DataError naming the splits that are wanted and not there."""
    missing = [split for split in wanted if split not in found]
    if missing:
        raise DataError(
            f"{root} has no {what} for {' and '.join(missing)} (seen: {', '.join(found) or 'none'}). "
            f"Wanted: {' and '.join(wanted)}."
        )


def check_sizes_once(images: Sequence[ImageEntry], sources: Sequence[Path], context: DataContext) -> None:
    """Check stated sizes against the images themselves; files that have passed are not opened a second time.

    Boxes and maps lie on the upright image, so a size that is turned or wrong would move all of them.
    """
    contents = Contents(context.cache, context.progress)
    digest = digest_of_files((), sources, ((image.path.name, image.path) for image in images), contents)
    note = context.cache / "checked-sizes" / digest
    if note.is_file():
        return
    context.progress(f"checking the sizes of {len(images)} images", 0, 0)
    require_image_sizes(images, sources[0])
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
