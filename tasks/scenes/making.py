"""Has splits written whatever becomes of the processes that draw them.

The recipe's digest does not cover this module: it decides who writes the files, not what is in them.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.protocols import NOTICE
from tasks.scenes import layout
from tasks.scenes.generate import Progress, write_splits

_NO_WORKERS = (BrokenProcessPool, ImportError, NotImplementedError, OSError)
"""A worker was killed, or there can be none: their queues need semaphores in /dev/shm."""
_LOOK_SECONDS = 0.02
_GRACE_SECONDS = 5.0
"""Workers that have nothing more to do end within this of each other."""


def make_splits(root: Path, splits: Sequence[str], *, processes: int, progress: Progress | None) -> None:
    """Write the splits that are not complete; where workers fail, all is drawn in this process, and said.

    Raises OSError at once for a folder that cannot be made.
    """
    if not all(layout.is_complete(root, split) for split in splits):
        (root / ".partial").mkdir(parents=True, exist_ok=True)
    with _nothing_from_the_working_directory():
        try:
            with _ending_together():
                write_splits(root, splits, processes=processes, progress=progress)
        except _NO_WORKERS as error:
            if progress is not None:
                reason = f"{type(error).__name__}: {error}"
                progress(f"Scenes' workers failed ({reason}); drawing in one process", 0, NOTICE)
            write_splits(root, splits, processes=1, progress=progress)


@contextmanager
def _ending_together() -> Iterator[None]:
    """Kill the workers that live on after one of them has ended.

    Python 3.11's pool does so too, but waits for ever for one that it was just starting when another was killed.
    """
    finished, others = threading.Event(), set(multiprocessing.active_children())

    def watch() -> None:
        seen: set[BaseProcess] = set()
        while not finished.wait(_LOOK_SECONDS):
            seen |= set(multiprocessing.active_children()) - others
            if seen and connection.wait([worker.sentinel for worker in seen], 0) and not finished.wait(_GRACE_SECONDS):
                for worker in set(multiprocessing.active_children()) - others:
                    worker.kill()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


@contextmanager
def _nothing_from_the_working_directory() -> Iterator[None]:
    """Let the workers, which start by `python -c`, import nothing from the working directory."""
    former = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if former is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = former
