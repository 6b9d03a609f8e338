"""Gets a data set by name: fetches its files, checks and unpacks them beside the place, then moves them there.

Whatever happens in between, a folder that `--data` finds is whole: a first part arrives by one rename, a further one
is announced as unfinished before its files are moved in.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.acquire.download import FetchedFile, check_file, fetch
from harness.acquire.installed_sets import (
    GotFile,
    InstalledSet,
    SetShelf,
    unpacked_digests,
    with_parts,
)
from harness.acquire.known_sets import KnownSet, RemoteFile, SetPart
from harness.acquire.single_images import fetch_single_images
from harness.acquire.unpack import require_room, unpack_archive
from harness.errors import DataError, UsageError
from harness.files import one_at_a_time
from harness.storage.content import file_digest
from harness.text.error_text import named_error

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class GetRequest:
    """What is asked for of a data set.

    `brought` is a folder or an archive of the user's own; `to` another place than the shelf; `images` how many images
    of each part are wanted, drawn by `seed`, where not all are.
    """

    parts: tuple[str, ...] = ()
    brought: Path | None = None
    to: Path | None = None
    images: int | None = None
    seed: int = 0
    keep_archives: bool = False


def get(known: KnownSet, wish: GetRequest, shelf: SetShelf, progress: Progress) -> InstalledSet:
    """Get the parts that are asked for and not there; returns what is there then.

    Raises DataError for what cannot be had, with instructions for a gated set; UsageError for a part that is none.
    """
    name = set_name(known, wish)
    with one_at_a_time(shelf.folder / f"{known.name}.get"), _naming_full_disk(shelf.folder):
        found = _present(known, name, wish, shelf)
        parts = known.chosen_parts(wish.parts)
        missing = {part: each for part, each in parts.items() if part not in found.parts or part in found.unfinished}
        if not missing:
            return found
        _require_ways(known, missing, wish)
        return _Getting(known, wish, shelf, found, progress).run(missing)


def set_name(known: KnownSet, wish: GetRequest) -> str:
    """Name what is got: a choice of images has a name of its own, as it is other data."""
    return known.name if wish.images is None else f"{known.name}-{wish.images}-images-seed-{wish.seed}"


def _present(known: KnownSet, name: str, wish: GetRequest, shelf: SetShelf) -> InstalledSet:
    folder = (wish.to or shelf.place(name)).expanduser().resolve()
    found = shelf.find(name)
    if found is None or not Path(found.folder).is_dir():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(
                f"{folder} is there already and was not made by this command. Move it, or give another --to."
            )
        choice = "" if wish.images is None else f"{wish.images} images of each part, seed {wish.seed}"
        return InstalledSet(name, str(folder), (), choice=choice, of=known.name, root=known.root)
    if wish.to is not None and folder != Path(found.folder):
        raise UsageError(f"--to {wish.to}: {name} is in {found.folder} already. Leave --to out, or move it and delete "
                         f"{shelf.folder / f'{name}.json'}.")  # fmt: skip
    return found


def _require_ways(known: KnownSet, parts: Mapping[str, SetPart], wish: GetRequest) -> None:
    """Raise DataError where files can only be brought and are not, UsageError where no single images are served."""
    if known.gated and wish.brought is None:
        names = ", ".join(file.name for part in parts.values() for file in part.files)
        raise DataError(
            f"{known.name} is given out only by its makers: {known.gated.strip()} Then run "
            f"'bench data get {known.name} --from DIR' with the folder that holds {names}."
        )
    if wish.images is not None and not any(part.single for part in parts.values()):
        raise UsageError(f"--images: {known.name} is served in archives alone. Get its parts whole: "
                         f"{', '.join(known.parts)}.")  # fmt: skip


@dataclass(frozen=True)
class _Getting:
    known: KnownSet
    wish: GetRequest
    shelf: SetShelf
    found: InstalledSet
    progress: Progress

    def run(self, parts: Mapping[str, SetPart]) -> InstalledSet:
        folder, name = Path(self.found.folder), self.found.name
        staging = folder.with_name(f".{folder.name}.unpacking")
        archives = self.shelf.folder / f"{self.known.name}.downloads"
        archives.mkdir(parents=True, exist_ok=True)
        if staging.exists():
            shutil.rmtree(staging)  # of an attempt that was killed; the archives are still there
        self._require_room(parts, archives)
        staging.mkdir(parents=True)
        try:
            got, digests = self._fill(parts, staging, archives)
            self._publish(staging, folder, list(parts), got, digests)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if not self.wish.keep_archives:
            shutil.rmtree(archives, ignore_errors=True)
        done = self.shelf.find(name)
        assert done is not None  # it was put on record just now
        return done

    def _require_room(self, parts: Mapping[str, SetPart], archives: Path) -> None:
        """Refuse before the first byte what has no room: what is still to come, and what it unpacks to."""
        wanted = 0
        for part in parts.values():
            single = self.wish.images is not None and part.single is not None
            for file in () if single else part.files:
                size = file.bytes or 0
                there = sum(place.stat().st_size for place in archives.glob(f"{file.name}*") if place.is_file())
                brought = self.wish.brought is not None
                wanted += (0 if brought else max(0, size - there)) + (file.unpacked_bytes or size)
        require_room(Path(self.found.folder).parent, wanted, self.known.name)

    def _fill(
        self, parts: Mapping[str, SetPart], staging: Path, archives: Path
    ) -> tuple[list[GotFile], dict[str, str]]:
        got: list[GotFile] = []
        digests: dict[str, str] = {}
        for name, part in parts.items():
            single = part.single if self.wish.images is not None else None
            if single is not None and self.wish.images is not None:
                names = _function(single.choose)(staging, name, self.wish.images, self.wish.seed)
                digests |= fetch_single_images(single, names, archives, staging, self.progress)
            for file in () if single else part.files:
                digests |= self._add(file, staging, archives, got)
            if single is not None or any(file.prepare for file in part.files):
                digests = {}  # files were moved or rewritten
        there = (path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*")) if path.is_file())
        return got, {path: digests.get(path) or file_digest(staging / path) for path in there}

    def _add(self, file: RemoteFile, staging: Path, archives: Path, got: list[GotFile]) -> dict[str, str]:
        fetched, source = self._obtain(file, archives)
        got.append(GotFile(file.name, source, fetched.bytes, fetched.sha256, fetched.known))
        if file.unpack:
            limit = None if file.unpacked_bytes is None else 2 * file.unpacked_bytes
            below = staging / file.to
            written = unpack_archive(fetched.path, below, self.progress, strip=file.strip, limit_bytes=limit)
            digests = unpacked_digests(written, file.to)
        else:
            place = staging / file.to / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fetched.path, place)
            digests = {place.relative_to(staging).as_posix(): fetched.sha256}
        if file.prepare is not None:
            _prepare(file, staging, self.progress)
        return digests

    def _obtain(self, file: RemoteFile, archives: Path) -> tuple[FetchedFile, str]:
        """Take a file from where the user says that it is, else fetch it; with its source."""
        brought = self.wish.brought
        if brought is None:
            fetched = fetch(file, archives, self.progress)
            return fetched, file.urls[0] if file.urls else file.name
        place = brought / file.name if brought.is_dir() else brought
        if not place.is_file():
            raise DataError(f"--from {brought}: there is no {file.name}. Give the folder that holds the archives as "
                            "they are served, or the archive itself.")  # fmt: skip
        if place.name != file.name:
            raise DataError(f"--from {brought}: wanted {file.name}. Give --parts for the part that this archive is of.")
        return check_file(file, place, self.progress), f"brought: {place.name}"

    def _publish(
        self, staging: Path, folder: Path, parts: Sequence[str], got: Sequence[GotFile], digests: Mapping[str, str]
    ) -> None:
        name = self.found.name
        if not folder.is_dir() or not any(folder.iterdir()):
            if folder.is_dir():
                folder.rmdir()
            self.shelf.keep(replace(self.found, unfinished=tuple(parts)))
            self.shelf.keep_digests(name, digests)
            staging.rename(folder)
        else:
            unfinished = tuple(dict.fromkeys((*self.found.unfinished, *parts)))
            self.shelf.keep(replace(self.found, unfinished=unfinished))
            self.shelf.keep_digests(name, {**self.shelf.digests(name), **digests})
            _merge(staging, folder)
        self.shelf.keep(with_parts(self.found, parts, got))


def _merge(source: Path, target: Path) -> None:
    """Move files into a folder that is there; what has their names is replaced."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            path.replace(place)


def _function(reference: str) -> Callable[..., Sequence[str]]:
    module, _, name = reference.partition(":")
    found: Callable[..., Sequence[str]] = getattr(importlib.import_module(module), name)
    return found


def _prepare(file: RemoteFile, folder: Path, progress: Progress) -> None:
    assert file.prepare is not None
    progress(f"preparing {file.name}", 0, 0)
    try:
        _function(file.prepare)(folder, progress)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{file.name} holds something else than was expected: {named_error(error)}.") from error


@contextmanager
def _naming_full_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: {error.strerror}. What was fetched is kept; mend this and run the same "
            "command again."
        ) from None
