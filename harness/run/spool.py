"""Folders for what processes hand each other during a run: one's own, gone when the run has ended, however it did."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.files import one_at_a_time


@contextmanager
def own_folder(base: Path) -> Iterator[Path]:
    """Give a new folder below `base`, and take it away after the block, with those that killed processes have left.

    A lock beside a folder says that its process lives.
    """
    with one_at_a_time(base / "folders"):
        for lock in base.glob("*.alive"):
            _take_away_if_dead(lock)
        folder = Path(tempfile.mkdtemp(dir=base))
        alive = folder.with_name(f"{folder.name}.alive").open("w", encoding="utf-8")
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(alive.name).unlink(missing_ok=True)
        alive.close()


def _take_away_if_dead(lock: Path) -> None:
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
