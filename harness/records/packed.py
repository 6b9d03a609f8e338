"""Many small files of a results folder in a few: what is committed, archived or sent.

<results>/<task>/records.jsonl       a record a line, for records/<fingerprint>.json; the last vouches for the others
<results>/<task>/robustness.jsonl    a robustness record a line, for robustness/<fingerprint>.json
<results>/<task>/explanations.jsonl  a record of explanations a line, for explanations/<fingerprint>.json
<results>/<task>/outcomes.tar.xz     outcomes/ as it lay there, byte for byte; `tar xf` in the task's folder unpacks it
<results>/<task>/scores.tar.xz       scores/
<results>/<task>/robustness.tar.xz   what lies deeper in robustness/: its outcomes, scores and example images
<results>/<task>/explanations.tar.xz what lies deeper in explanations/: scores of maps, and maps to look at

Everything is read under the name that it has unpacked, so that digests are checked as ever. A file beside a packed one
has precedence: what is written into a packed folder lies there as it would anywhere, until it is packed too.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from harness.errors import StoreError
from harness.records.folder import Folder, as_local_file
from harness.storage.digest import without_digest
from harness.storage.stored_types import require_file_names

ARCHIVED = ("outcomes", "scores", "robustness", "explanations")
LINED = ("records", "robustness", "explanations")
_LINES, _ARCHIVE = ".jsonl", ".tar.xz"


def pack_of(name: str) -> str | None:
    """Name the packed file that a file may lie in, None for one that is never packed; patterns of names work alike.

    >>> pack_of("flowers/records/0f.json"), pack_of("*/robustness/0f/fog-1.parquet"), pack_of("flowers/training/0f/x")
    ('flowers/records.jsonl', '*/robustness.tar.xz', None)
    """
    task, _, rest = name.partition("/")
    kind, _, inner = rest.partition("/")
    if kind in LINED and inner.endswith(".json") and "/" not in inner:
        return f"{task}/{kind}{_LINES}"
    return f"{task}/{kind}{_ARCHIVE}" if kind in ARCHIVED and inner else None


def is_pack(name: str) -> bool:
    """Tell whether a name is that of a packed file."""
    _, _, file = name.partition("/")
    return file in {f"{kind}{_LINES}" for kind in LINED} | {f"{kind}{_ARCHIVE}" for kind in ARCHIVED}


class PackedFolder:
    """A folder whose files may lie in packed files; what was read of one is kept until that file changes."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._known: dict[str, tuple[Hashable, Mapping[str, bytes]]] = {}

    def names(self, pattern: str) -> list[str]:
        """List the files that a pattern of names fits, packed or not."""
        found = set(self.folder.names(pattern))
        wanted = pack_of(pattern)
        for pack in self.folder.names(wanted) if wanted else ():
            found |= {name for name in self.members(pack) if _fits(name, pattern)}
        return sorted(found)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there, packed or not."""
        return self.folder.exists(name) or self._packed(name) is not None

    def read_bytes(self, name: str) -> bytes:
        """Read a file; raises StoreError when it cannot be read."""
        content = self.read_if_there(name)
        return self.folder.read_bytes(name) if content is None else content

    def read_if_there(self, name: str) -> bytes | None:
        """Read a file, None where there is none, packed or not; raises StoreError when it cannot be read."""
        content = self.folder.read_if_there(name)
        return self._packed(name) if content is None else content

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """Give a local path with a file's content; where it is a copy, it is gone after the block."""
        local = self.folder.local
        if local is not None and self.folder.exists(name):
            yield local / name
            return
        with as_local_file(name, self.read_bytes(name)) as path:
            yield path

    def place(self, name: str) -> str:
        """Say where a file lies, for messages: in a packed file, or as it is."""
        pack = pack_of(name)
        if pack is None or self.folder.exists(name) or self._packed(name) is None:
            return f"{self.folder.url}/{name}"
        return f"{self.folder.url}/{pack}: {name.partition('/')[2]}"

    def members(self, pack: str) -> Mapping[str, bytes]:
        """Read the files of a packed one by their names; none of one that is not there. Raises StoreError."""
        state = self.folder.state(pack)
        known = self._known.get(pack)
        if known is None or known[0] != state:
            content = {} if state is None else read_pack(pack, self.folder.read_bytes(pack), self.folder.url)
            known = self._known[pack] = (state, content)
        return known[1]

    def _packed(self, name: str) -> bytes | None:
        pack = pack_of(name)
        return None if pack is None else self.members(pack).get(name)


def read_pack(pack: str, content: bytes, url: str) -> dict[str, bytes]:
    """Take a packed file apart; raises StoreError naming it, and the line, where it is broken or was changed."""
    return _read_lines(pack, content, url) if pack.endswith(_LINES) else _read_archive(pack, content, url)


def write_pack(pack: str, members: Mapping[str, bytes]) -> bytes:
    """Put files into a packed one; the same files give the same bytes. Raises StoreError for records that cannot be."""
    return _write_lines(pack, members) if pack.endswith(_LINES) else _write_archive(members)


def _read_lines(pack: str, content: bytes, url: str) -> dict[str, bytes]:
    *lines, last = content.splitlines() or [b""]
    if last != _last_line(lines):
        raise StoreError(
            f"{url}/{pack} was changed since it was packed{_changed_line(lines)}. Fetch it again; to change or leave "
            "out a record, `bench unpack` the folder first."
        )
    members: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        try:
            name = f"{pack.removesuffix(_LINES)}/{_fingerprint(line)}.json"
            if name in members:
                raise ValueError("a record of its fingerprint stands above it")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(f"{url}/{pack}, line {number}, is not a record: {error}. Fetch it again.") from None
        members[name] = line
    return members


def _last_line(lines: Sequence[bytes]) -> bytes:
    """Vouch for all lines above: none of them can be changed, and none can vanish, without being seen."""
    digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    return json.dumps({"digest": digest, "records": len(lines)}, separators=(",", ":")).encode()


def _changed_line(lines: Sequence[bytes]) -> str:
    """Name the first line that is no record with a digest of its own; nothing where all are."""
    for number, line in enumerate(lines, 1):
        try:
            without_digest(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            return f" (line {number}: {error})"
    return ""


def _fingerprint(record: bytes) -> str:
    content = json.loads(record)
    if not isinstance(content["fingerprint"], str):
        raise ValueError("its fingerprint is no text")
    require_file_names(content, ("fingerprint",))
    return str(content["fingerprint"])


def _write_lines(pack: str, members: Mapping[str, bytes]) -> bytes:
    lines = []
    for name, content in sorted(members.items()):
        if PurePosixPath(name).stem != _fingerprint(content):
            raise StoreError(f"{name} holds the record of another fingerprint, {_fingerprint(content)}. Rename it.")
        lines.append(json.dumps(json.loads(content), sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    return b"".join(line + b"\n" for line in (*lines, _last_line(lines)))


def _read_archive(pack: str, content: bytes, url: str) -> dict[str, bytes]:
    task = pack.partition("/")[0]
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(content)), mode="r:") as archive:
            for entry in archive:
                name = f"{task}/{entry.name}"
                if not entry.isfile() or ".." in name.split("/") or pack_of(name) != pack:
                    raise ValueError(f"{entry.name} does not belong there")
                file = archive.extractfile(entry)
                members[name] = b"" if file is None else file.read()
    except (lzma.LZMAError, tarfile.TarError, ValueError, EOFError) as error:
        raise StoreError(f"{url}/{pack} is broken: {error}. Fetch it again.") from None
    return members


def _write_archive(members: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(members.items()):
            entry = tarfile.TarInfo(name.partition("/")[2])  # of no date and no owner: the same files, the same bytes
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return lzma.compress(target.getvalue())


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits as `Path.glob` would say: a star stays within its part of the path."""
    return name.count("/") == pattern.count("/") and PurePosixPath(name).match(pattern)
