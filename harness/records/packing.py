"""Packs the files of a results folder into a few, and unpacks them again; nothing that they hold changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.records.folder import Folder
from harness.records.packed import LINED, PackedFolder, is_pack, pack_of, write_pack
from harness.records.store import Store
from harness.records.writers import only_one
from harness.storage.digest import without_digest


@dataclass(frozen=True)
class Repacked:
    """What was done to a folder: files and bytes before and after, and what is never packed."""

    folder: str
    before: tuple[int, int]
    after: tuple[int, int]
    left: tuple[str, ...]

    def told(self) -> str:
        """Say it in a line or two."""
        (files, size), (now_files, now_size) = self.before, self.after
        text = f"{self.folder}: {files} file{'' if files == 1 else 's'} ({size / 1e6:.1f} MB) became {now_files}"
        text += f" ({now_size / 1e6:.1f} MB)."
        if not self.left:
            return text
        return f"{text}\nLeft as they are: {', '.join(self.left)}."


def pack(url: str) -> Repacked:
    """Put records, robustness records and tables of samples into packed files, beside what is packed there already.

    Each record's digest is checked before; a StoreError names one that was changed by hand, and nothing is packed.
    """
    root = _local(url)
    with only_one(Store(url)):
        before = _extent(root)
        folder = PackedFolder(Folder(url))
        files = _files(root)
        loose = [name for name in files if pack_of(name)]
        if not loose and not any(map(is_pack, files)):
            raise StoreError(
                f"{url} holds nothing to pack, no TASK/records. Give a folder that `bench run --results` made."
            )
        contents = {name: _checked(root, name) for name in loose}
        for name in sorted({str(pack_of(name)) for name in loose}):
            added = {file: content for file, content in contents.items() if pack_of(file) == name}
            folder.folder.write_bytes(name, write_pack(name, {**folder.members(name), **added}))
        _remove(root, loose)
        return Repacked(url, before, _extent(root), _left(root))


def unpack(url: str) -> Repacked:
    """Put every file of a packed folder where a run would have written it; one that lies there already stays."""
    root = _local(url)
    with only_one(Store(url)):
        before = _extent(root)
        folder = PackedFolder(Folder(url))
        packs = [name for name in _files(root) if is_pack(name)]
        if not packs:
            raise StoreError(f"{url} holds nothing that is packed. Give a folder that `bench pack` packed.")
        for name in packs:
            for file, content in folder.members(name).items():
                if not folder.folder.exists(file):
                    folder.folder.write_bytes(file, _laid_out(name, content))
        _remove(root, packs)
        return Repacked(url, before, _extent(root), ())


def _local(url: str) -> Path:
    folder = Folder(url)
    if folder.local is None:
        raise StoreError(f"{url} is no local folder. Copy it here, pack or unpack the copy, and send that.")
    folder.require_there()
    return folder.local


def _files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _extent(root: Path) -> tuple[int, int]:
    sizes = [(root / name).stat().st_size for name in _files(root) if name not in _OWN]
    return len(sizes), sum(sizes)


_OWN = (".lock", ".records.lock", ".writable")
"""What runs leave to keep others out, and to see whether they may write."""


def _left(root: Path) -> tuple[str, ...]:
    """Name what is never packed: trainings, which a run goes on from, and tables that were written by hand."""
    names = [name for name in _files(root) if not is_pack(name) and name not in _OWN]
    return tuple(sorted({"/".join(name.split("/")[:2]) for name in names}))


def _checked(root: Path, name: str) -> bytes:
    """Read a file that is to be packed; a record must have the digest that it carries."""
    content = (root / name).read_bytes()
    if str(pack_of(name)).rpartition("/")[2] in {f"{kind}.jsonl" for kind in LINED}:
        try:
            without_digest(json.loads(content))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(f"{root / name} is not a record: {error}. Delete it and run again.") from None
    return content


def _laid_out(pack: str, content: bytes) -> bytes:
    """A record as `with_digest` writes it; other files byte for byte."""
    return json.dumps(json.loads(content), indent=1, sort_keys=True).encode() if pack.endswith(".jsonl") else content


def _remove(root: Path, names: Sequence[str]) -> None:
    """Delete files, and the folders that are empty then."""
    for name in names:
        (root / name).unlink()
    for folder in sorted(_parents(names), key=len, reverse=True):
        with suppress(OSError):  # it holds something else
            (root / folder).rmdir()


def _parents(names: Sequence[str]) -> Iterator[str]:
    found = {str(parent) for name in names for parent in Path(name).parents if len(parent.parts) > 1}
    yield from found
