"""Unpacks zip and tar archives from outside: nothing leaves the folder, nothing grows beyond what it may.

Names that are absolute or climb with `..`, links that lead out, devices, and archives that unpack to far more than
they are, are refused; what was refused has the archive's name and the member's in the message.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import DataError

Progress = Callable[[str, int, int], None]
_CHUNK_BYTES, _MEGABYTE = 1 << 20, 1_000_000
_MOST_MEMBERS = 5_000_000
_MOST_GROWTH = 100
"""An archive may unpack to so many times its size: JSON of annotations packs 10 to 20 times."""
_SMALLEST_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class UnpackedFile:
    """A file that was written, by its path below the folder: its bytes and sha256."""

    bytes: int
    sha256: str


@dataclass
class _Writer:
    """Writes members below a folder and keeps count."""

    archive: Path
    folder: Path
    strip: int
    limit: int
    progress: Progress
    total: int
    written: int = 0
    found: dict[str, UnpackedFile] = field(default_factory=dict)

    def place(self, name: str) -> Path | None:
        """Say where a member belongs, None for what is stripped; raises DataError for a name that leads out."""
        pure = PurePosixPath(name)
        if "\\" in name or "\0" in name or pure.is_absolute() or ".." in pure.parts or ":" in name.partition("/")[0]:
            raise self.refused(name, "its name leads out of the folder")
        parts = pure.parts[self.strip :]
        if not parts:
            return None
        place = self.folder.joinpath(*parts)
        if not place.parent.resolve().is_relative_to(self.folder):
            raise self.refused(name, "a link on its way leads out of the folder")
        return place

    def write(self, name: str, source: IO[bytes]) -> None:
        place = self.place(name)
        if place is None:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            raise self.refused(name, "a link has its name")
        digest, size = hashlib.sha256(), 0
        with place.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                self.written += len(chunk)
                if self.written > self.limit:
                    raise self.refused(name, f"unpacked, the archive is larger than {self.limit:,} bytes")
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
                self.progress(
                    f"unpacking {self.archive.name} [MB]",
                    min(self.written, self.total) // _MEGABYTE,
                    self.total // _MEGABYTE,
                )
        self.found[place.relative_to(self.folder).as_posix()] = UnpackedFile(size, digest.hexdigest())

    def refused(self, name: str, why: str) -> DataError:
        return DataError(
            f"{self.archive}: '{name}' is refused: {why}. The archive is not what it should be; nothing is kept."
        )


def unpack_archive(
    archive: Path, folder: Path, progress: Progress, *, strip: int = 0, limit_bytes: int | None = None
) -> Mapping[str, UnpackedFile]:
    """Unpack an archive into an empty or fresh folder, without its first `strip` folders.

    Returns the files by their paths below the folder. Raises DataError for an archive that is broken, packed with a
    password, no archive, or that would write elsewhere or too much.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _naming_damage(archive):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _unpack_zip(opened, _writer(archive, folder, strip, limit_bytes, progress))
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened_tar:
                return _unpack_tar(opened_tar, _writer(archive, folder, strip, limit_bytes, progress))
    raise DataError(f"{archive} is neither a zip nor a tar archive ({archive.stat().st_size:,} bytes). Fetch it again.")


def _writer(archive: Path, folder: Path, strip: int, limit_bytes: int | None, progress: Progress) -> _Writer:
    size = archive.stat().st_size
    limit = limit_bytes or max(_MOST_GROWTH * size, _SMALLEST_LIMIT_BYTES)
    return _Writer(archive, folder.resolve(), strip, limit, progress, size)


def _unpack_zip(zipped: zipfile.ZipFile, writer: _Writer) -> Mapping[str, UnpackedFile]:
    members = zipped.infolist()
    writer.total = sum(member.file_size for member in members)
    if writer.total > writer.limit or len(members) > _MOST_MEMBERS:
        raise writer.refused(members[0].filename, f"{len(members):,} files of {writer.total:,} bytes are too much")
    require_room(writer.folder, writer.total, writer.archive.name)
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.is_dir():
            if (place := writer.place(member.filename)) is not None:
                place.mkdir(parents=True, exist_ok=True)
        elif kind not in (0, stat.S_IFREG):
            raise writer.refused(member.filename, "it is a link or a device")
        else:
            with zipped.open(member) as source:
                writer.write(member.filename, source)
    return writer.found


def _unpack_tar(opened: tarfile.TarFile, writer: _Writer) -> Mapping[str, UnpackedFile]:
    links = []
    for number, member in enumerate(opened):
        if number > _MOST_MEMBERS:
            raise writer.refused(member.name, f"there are more than {_MOST_MEMBERS:,} files")
        if member.isdir():
            if (place := writer.place(member.name)) is not None:
                place.mkdir(parents=True, exist_ok=True)
        elif member.isreg():
            source = opened.extractfile(member)
            assert source is not None  # of a regular file there is always one
            writer.write(member.name, source)
        elif member.issym() or member.islnk():
            links.append(member)
        else:
            raise writer.refused(member.name, "it is a device")
    for member in links:  # when all files are there, none of which can have gone through a link
        _link(member, writer)
    return writer.found


def _link(member: tarfile.TarInfo, writer: _Writer) -> None:
    """Put a copy of what a link leads to in its place; raises DataError where that is outside or not there."""
    place = writer.place(member.name)
    if place is None:
        return
    if member.issym():
        target = Path(os.path.normpath(place.parent / member.linkname))
    else:
        target = writer.place(member.linkname) or writer.folder
    if not target.is_relative_to(writer.folder):
        raise writer.refused(member.name, f"it links to {member.linkname}, outside the folder")
    if not target.is_file():
        raise writer.refused(member.name, f"it links to {member.linkname}, which is no file of the archive")
    with target.open("rb") as source:
        writer.write(member.name, source)


def require_room(folder: Path, wanted_bytes: int, what: str) -> None:
    """Raise DataError where a folder's disk has no room for so many bytes."""
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if free < wanted_bytes:
        raise DataError(
            f"{what} needs {_in_units(wanted_bytes)}, and {existing} has {_in_units(free)} free. Free space there, or "
            "give another folder with --to."
        )


def _in_units(count: int) -> str:
    """Give bytes in GB, or in MB where that would be near 0."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


@contextmanager
def _naming_damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{archive} is broken: {error}. Fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # zipfile's, of a password or of a method it does not know
        raise DataError(f"{archive} cannot be unpacked: {error}") from None
