"""Reads and writes files below a local folder or any fsspec URL, whole or not at all."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.files import create_whole, replace_atomically
from harness.text.error_text import error_text, named_error

_REMEDY = "Free space or permissions there, or give another folder with --results; finished cells are kept."
_CONDITIONAL_PUTS = ("s3", "s3a", "gs", "gcs")
"""Protocols of servers that make a file only where there is none, whoever asks."""
_LOCAL = ("file", "local")
_WHOLE_PUTS = (*_CONDITIONAL_PUTS, "memory")
"""Protocols whose plain PUT shows a file whole or not at all: renaming there would copy it.

Their fsspec packages make a file only where there is none, in one request, with `mode="create"`.
"""


@dataclass(frozen=True)
class Folder:
    """A folder of files, which are named by their path below it: a local path, or a URL such as `s3://bucket/results`.

    Whatever a folder or a URL's server raises becomes a StoreError that names the file and the remedy.
    """

    url: str

    @cached_property
    def local(self) -> Path | None:
        """The folder as a path, or None when it is a URL."""
        return None if "://" in self.url else Path(self.url)

    def require_there(self) -> None:
        """Raise StoreError for a local folder that is not there; what a URL holds is seen when it is read."""
        if self.local is not None and not self.local.is_dir():
            raise StoreError(f"There is no folder {self.url}. Give a results folder, as `bench run --results` made it.")

    @property
    def takes_several_writers(self) -> bool:
        """Whether of writers on several machines one makes each file: not on protocols without such a request.

        A local folder must be one that all of them share.
        """
        return self.local is not None or self._protocol == "file" or self._protocol in _CONDITIONAL_PUTS

    def names(self, pattern: str) -> list[str]:
        """List the files that a pattern of names fits, such as `*/records/*.json`."""
        with self._naming("list", pattern):
            if self.local is not None:
                return sorted(path.relative_to(self.local).as_posix() for path in self.local.glob(pattern))
            system, root = self._filesystem()
            system.invalidate_cache()  # its package remembers listings, and other runs write here too
            return sorted(path[len(root) + 1 :] for path in system.glob(f"{root}/{pattern}"))

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        with self._naming("look for", name):
            if self.local is not None:
                return (self.local / name).is_file()
            system, root = self._filesystem()
            system.invalidate_cache(f"{root}/{name}")
            return bool(system.exists(f"{root}/{name}"))

    def state(self, name: str) -> Hashable:
        """What changes when a local file is written; of a URL's file only whether it is there. None where it is not."""
        if self.local is None:
            return True if self.exists(name) else None
        try:
            found = (self.local / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read_bytes(self, name: str) -> bytes:
        """Read a file; raises StoreError when it cannot be read."""
        with self._naming("read", name):
            if self.local is not None:
                return (self.local / name).read_bytes()
            system, root = self._filesystem()
            return bytes(system.cat_file(f"{root}/{name}"))

    def read_if_there(self, name: str) -> bytes | None:
        """Read a file, None where there is none; raises StoreError when it cannot be read."""
        with self._naming("read", name):
            try:
                if self.local is not None:
                    return (self.local / name).read_bytes()
                system, root = self._filesystem()
                return bytes(system.cat_file(f"{root}/{name}"))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; raises StoreError when it cannot be written."""
        with self._naming("write", name, _REMEDY):
            if self.local is not None:
                with replace_atomically(self.local / name) as temporary:
                    temporary.write_bytes(content)
                return
            system, root = self._filesystem()
            if self._protocol in _WHOLE_PUTS:
                system.pipe_file(f"{root}/{name}", content)
                return
            self._in_place_of(system, f"{root}/{name}", lambda part: system.pipe_file(part, content))

    def upload(self, name: str, path: Path) -> None:
        """Write a file of a URL from one here, without reading all of it into memory; otherwise as `write_bytes`."""
        with self._naming("write", name, _REMEDY):
            system, root = self._filesystem()
            if self._protocol in _WHOLE_PUTS:
                system.put_file(str(path), f"{root}/{name}")
                return
            self._in_place_of(system, f"{root}/{name}", lambda part: system.put_file(str(path), part))

    def download(self, name: str, path: Path) -> bool:
        """Write a file here from one of a URL; returns whether there is one. Raises StoreError."""
        with self._naming("read", name):
            system, root = self._filesystem()
            try:
                with replace_atomically(path) as temporary:
                    system.get_file(f"{root}/{name}", str(temporary))
            except FileNotFoundError:
                return False
            return True

    def create_only(self, name: str, content: bytes) -> bool:
        """Make a file, whole or not at all, unless there is one; returns whether it was made. Raises StoreError.

        Of several writers at once one succeeds: locally by a hard link, on S3 and Google Cloud Storage by a conditional
        PUT (`If-None-Match: *`). Other protocols have no such request: there it is for one writer at a time.
        """
        with self._naming("write", name, _REMEDY):
            if self.local is not None:
                return create_whole(self.local / name, content)
            system, root = self._filesystem()
            if self._protocol in _LOCAL:
                return create_whole(Path(root) / name, content)
            if self._protocol in _WHOLE_PUTS:
                try:
                    system.pipe_file(f"{root}/{name}", content, mode="create")
                except OSError:  # FileExistsError, or what older versions make of the server's "precondition failed"
                    if not self.exists(name):
                        raise
                    return False
                return True
        if self.exists(name):
            return False
        self.write_bytes(name, content)
        return True

    @property
    def makes_only_once(self) -> bool:
        """Whether of several writers of `create_only` at once exactly one succeeds."""
        return self.local is not None or self._protocol in (*_LOCAL, *_WHOLE_PUTS)

    def remove(self, name: str) -> None:
        """Delete a file; nothing happens where there is none. Raises StoreError."""
        with self._naming("delete", name), suppress(FileNotFoundError):
            if self.local is not None:
                (self.local / name).unlink()
                return
            system, root = self._filesystem()
            system.rm_file(f"{root}/{name}")

    @staticmethod
    def _in_place_of(system: Any, place: str, write: Callable[[str], object]) -> None:
        """Write beside a place and then rename: two runs may write one file at once."""
        system.makedirs(place.rpartition("/")[0], exist_ok=True)
        part = f"{place}.{uuid.uuid4().hex}.part"
        write(part)
        system.mv(part, place)

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0]

    @contextmanager
    def _naming(self, doing: str, name: str, remedy: str = "") -> Iterator[None]:
        """Turn what goes wrong into a StoreError that names the file and the remedy.

        Each kind of URL has exceptions of its own: of missing credentials, of a server that does not answer.
        """
        place = f"Cannot {doing} {self.url}/{name}"
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(" ".join([f"{place}: {_reason(error)}.", *([remedy] if remedy else [])])) from None
        except Exception as error:
            if self.local is not None:
                raise
            raise StoreError(
                f"{place}: {named_error(error)}. Check the address of --results, that its server answers, and that "
                "your credentials for it are set; finished cells are kept."
            ) from None

    def _filesystem(self) -> tuple[Any, str]:
        import fsspec

        protocol, _, place = self.url.partition("://")
        if not place.strip("/"):
            raise StoreError(f"--results {self.url} names no place. Give a folder too, as {protocol}://BUCKET/RESULTS.")
        try:
            system, root = fsspec.core.url_to_fs(self.url)
        except Exception as error:
            raise StoreError(
                f"Cannot open --results {self.url}: {named_error(error)}. Give a folder, or a URL of a protocol that "
                "fsspec knows, with its package installed and your credentials set."
            ) from None
        return system, root.rstrip("/")


@contextmanager
def as_local_file(name: str, content: bytes) -> Iterator[Path]:
    """Give a local file of that name with that content; it is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        yield path


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else error_text(error)
