"""The data sets of this machine: where each is, what was got of it, and whether it is still what was got.

Below the folder of all (`data-sets` in the cache): `NAME/` with the files, unless `--to` put them elsewhere;
`NAME.json`, which says what was got from where; and `NAME.sha256`, the digests of all files as `sha256sum` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.acquire.known_sets import known_set
from harness.acquire.unpack import UnpackedFile
from harness.errors import DataError, StoreError
from harness.files import replace_atomically
from harness.storage.content import ABSENT, Contents, Progress

_DIGITS = 64


@dataclass(frozen=True)
class GotFile:
    """A file that was fetched or brought: from where, its digest, and whether the registry knew it."""

    name: str
    source: str
    bytes: int
    sha256: str
    known: bool


@dataclass(frozen=True)
class InstalledSet:
    """What was got of a data set.

    `unfinished` names parts that were being added; `choice` says which images were chosen, where not all were.
    """

    name: str
    folder: str
    parts: tuple[str, ...]
    files: tuple[GotFile, ...] = ()
    unfinished: tuple[str, ...] = ()
    choice: str = ""
    of: str = ""
    root: str = "."

    @property
    def data_folder(self) -> Path:
        """The folder that `--data` means."""
        return Path(self.folder) / self.root


@dataclass(frozen=True)
class SetDamage:
    """What is no longer as it was got: paths below the data set's folder."""

    missing: Sequence[str] = field(default_factory=list)
    changed: Sequence[str] = field(default_factory=list)
    added: Sequence[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.added)


@dataclass(frozen=True)
class SetShelf:
    """The folder in which the data sets of a machine are kept."""

    folder: Path

    def place(self, name: str) -> Path:
        """The folder of a set's files, where `--to` does not say another."""
        return self.folder / name

    def names(self) -> list[str]:
        """Name what was got, whole or in part."""
        return sorted(path.stem for path in self.folder.glob("*.json")) if self.folder.is_dir() else []

    def find(self, name: str) -> InstalledSet | None:
        """Read what was got of a set, None for nothing; raises StoreError for a file that cannot be read."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(GotFile(**each) for each in content.pop("files"))
            lists: dict[str, Any] = {key: tuple(content.pop(key)) for key in ("parts", "unfinished")}
            return InstalledSet(files=files, **lists, **content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(
                f"{path} cannot be read: {error}. Delete it and run 'bench data get {name}' again."
            ) from None

    def keep(self, installed: InstalledSet) -> None:
        """Put on record what was got."""
        with replace_atomically(self.folder / f"{installed.name}.json") as temporary:
            temporary.write_text(json.dumps(asdict(installed), indent=1), encoding="utf-8")

    def digests(self, name: str) -> dict[str, str]:
        """Read the digests of a set's files, by path."""
        path = self.folder / f"{name}.sha256"
        if not path.is_file():
            return {}
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        return {line[_DIGITS + 2 :]: line[:_DIGITS] for line in lines if line}

    def keep_digests(self, name: str, digests: Mapping[str, str]) -> None:
        """Write the digests of a set's files, as `sha256sum --check` reads them."""
        with replace_atomically(self.folder / f"{name}.sha256") as temporary:
            lines = (f"{digests[path]}  {path}\n" for path in sorted(digests))
            temporary.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def shelf_of(cache: Path) -> SetShelf:
    """Give the data sets of a cache."""
    return SetShelf(cache / "data-sets")


def require_installed(shelf: SetShelf, name: str) -> InstalledSet:
    """Find a set that was got whole; raises DataError that says how to get it."""
    found = shelf.find(name)
    if found is None:
        known_set(name)
        raise DataError(f"{name} is not on this machine. 'bench data get {name}' fetches it; see 'bench data list'.")
    if found.unfinished:
        parts = ", ".join(found.unfinished)
        raise DataError(
            f"{name}: getting {parts} did not end. Run 'bench data get {found.of or name} --parts {parts}'."
        )
    if not found.data_folder.is_dir():
        raise DataError(
            f"{name} was put into {found.folder}, which is not there any more. Run 'bench data get {name}' again."
        )
    return found


def verify(shelf: SetShelf, installed: InstalledSet, progress: Progress) -> SetDamage:
    """Digest every file of a set and compare with what was got."""
    folder = Path(installed.folder)
    wanted = shelf.digests(installed.name)
    read = Contents(progress=lambda _, done, of: progress(f"verifying {installed.name}", done, of))  # each file anew
    found = dict(zip(wanted, read.of([folder / path for path in wanted]), strict=True))
    missing = [path for path, digest in found.items() if digest == ABSENT]
    changed = [path for path, digest in found.items() if digest not in (ABSENT, wanted[path])]
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return SetDamage(missing, changed, sorted(there - wanted.keys()))


def with_parts(installed: InstalledSet, parts: Sequence[str], files: Sequence[GotFile]) -> InstalledSet:
    """Add parts that have come whole; others that were being added stay unfinished."""
    names = {each.name for each in files}
    kept = tuple(each for each in installed.files if each.name not in names)
    unfinished = tuple(name for name in installed.unfinished if name not in parts)
    return replace(
        installed, parts=tuple(dict.fromkeys((*installed.parts, *parts))), files=(*kept, *files), unfinished=unfinished
    )


def unpacked_digests(files: Mapping[str, UnpackedFile], below: str) -> dict[str, str]:
    """Give the digests of unpacked files by their paths below the set's folder."""
    prefix = "" if below in (".", "") else f"{below}/"
    return {f"{prefix}{path}": file.sha256 for path, file in files.items()}
