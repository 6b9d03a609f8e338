"""Small SQLite files of the cache, which several processes may use at once and which are never needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_LOCK_SECONDS = 10.0


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file, `ro` or `rwc`; a writer waits for another one."""
    import sqlite3

    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_LOCK_SECONDS)


@contextmanager
def mending(path: Path) -> Iterator[None]:
    """Do without what is remembered where it cannot be had; a broken file is removed, so that it is made anew."""
    import sqlite3

    broken = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    try:
        yield
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF) in broken:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                return
    except (OSError, TypeError):  # TypeError: a row of other types than were written
        return
