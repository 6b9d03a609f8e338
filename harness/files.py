"""Writes local files so that a reader sees the old content or the whole new one, never half of it."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # no such locks on this system: two processes may then make the same file, atomically
    fcntl = None  # type: ignore[assignment]

_ABANDONED_SECONDS = 3600.0
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let one process at a time make `path`; the lock goes with the process, however it ends.

    `waiting` is called where another one is at it. In a folder that cannot be written there is no lock: nothing can be
    made there, and what is there can be read.
    """
    lock = open_lock(path.with_name(f"{path.name}.lock"))
    if lock is None:
        yield
        return
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_lock(path: Path) -> IO[bytes] | None:
    """Open a file to lock, made where it is missing; one that another user owns need not be writable.

    None in a folder that cannot be written; other troubles, as a full disk, raise OSError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
    return path.open("rb") if os.access(path, os.R_OK) else None


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds, it takes `path`'s place.

    Permissions are those of the process's umask. An OSError names `path`, whichever step it came from.
    """
    with _publishing(path, lambda temporary: temporary.replace(path)) as temporary:
        yield temporary


def create_whole(path: Path, content: bytes) -> bool:
    """Make a file with that content unless there is one; of several processes that try at once one succeeds.

    Returns whether it was made. Nobody ever sees a part of it, however this process ends.
    """
    made = False

    def publish(temporary: Path) -> None:
        nonlocal made
        made = _link(temporary, path)

    with _publishing(path, publish) as temporary:
        temporary.write_bytes(content)
    return made


def _link(temporary: Path, path: Path) -> bool:
    """Give a whole file its name, unless that is taken; returns whether it was free."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with one_at_a_time(path):  # a file system without hard links
            if path.exists():
                return False
            temporary.replace(path)
    return True


def clear_parts(folder: Path) -> None:
    """Delete what writers that were killed have left in a folder: temporary files untouched for an hour."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):  # another process clears it, or it is not ours
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                part.unlink()


@contextmanager
def _publishing(path: Path, publish: Callable[[Path], object]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds, what lies there is on the disk and published."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        permissions = temporary.stat().st_mode & 0o777
        try:
            yield temporary
            temporary.chmod(permissions)  # a library may have put a file of its own in the place of ours
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            publish(temporary)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put `path` into an OSError of the block that names no file, as that of a full disk, or one beside `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)).parent == path.parent:
            error.filename, error.filename2 = str(path), None
        raise
