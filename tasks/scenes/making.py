"""Has splits written whatever becomes of the processes that draw them.

The recipe's digest does not cover this module: it decides who writes the files, not what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from harness.protocols import NOTICE
from tasks.scenes import layout
from tasks.scenes.generate import Progress, write_splits

_NO_WORKERS = (BrokenProcessPool, ImportError, NotImplementedError, OSError)
"""A worker was killed, or there can be none: their queues need semaphores in /dev/shm."""


def make_splits(root: Path, splits: Sequence[str], *, processes: int, progress: Progress | None) -> None:
    """Write the splits that are not complete; where workers fail, all is drawn in this process, and said.

    Raises OSError at once for a folder that cannot be made.
    """
    if not all(layout.is_complete(root, split) for split in splits):
        (root / ".partial").mkdir(parents=True, exist_ok=True)
    with _nothing_from_the_working_directory():
        try:
            write_splits(root, splits, processes=processes, progress=progress)
        except _NO_WORKERS as error:
            if progress is not None:
                reason = f"{type(error).__name__}: {error}"
                progress(f"Scenes' workers failed ({reason}); drawing in one process", 0, NOTICE)
            write_splits(root, splits, processes=1, progress=progress)


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
