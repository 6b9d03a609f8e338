"""Splits are written whatever becomes of the workers."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.protocols import NOTICE
from tasks.scenes import layout, making
from tasks.scenes.generate import write_splits
from tests.tasks.scenes.conftest import SMALL
from tests.tasks.scenes.test_golden import GOLDEN, content_hash

MAKING = """
import sys
from pathlib import Path
import tasks.scenes.making as making
from tasks.scenes.generate import write_splits
making.write_splits = lambda root, splits, **more: write_splits(root, splits, limit=240, **more)
if __name__ == "__main__":
    making.make_splits(Path(sys.argv[1]), ["val"], processes=2, progress=lambda *now: print(now, flush=True))
"""


def short(monkeypatch: pytest.MonkeyPatch, first: Exception | None = None) -> list[int]:
    """Write few images of each split; the first try may fail. Returns how many processes each try was given."""
    tries: list[int] = []

    def write(root: Path, splits: Any, *, processes: int, progress: Any) -> None:
        tries.append(processes)
        if first is not None and len(tries) == 1:
            raise first
        write_splits(root, splits, processes=1, progress=progress, limit=SMALL)

    monkeypatch.setattr(making, "write_splits", write)
    return tries


@pytest.mark.parametrize("first", [BrokenProcessPool("killed"), OSError(errno.EROFS, "Read-only file system"),
                                   ImportError("no semaphores")])  # fmt: skip
def test_without_workers_all_is_drawn_in_one_process_and_said(
    first: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, told = short(monkeypatch, first), []
    making.make_splits(tmp_path, ["val"], processes=2, progress=lambda *now: told.append(now))
    assert tries == [2, 1]
    assert content_hash(tmp_path, "val") == GOLDEN["val"]
    assert [what for what, _, total in told if total == NOTICE] == [
        f"Scenes' workers failed ({type(first).__name__}: {first}); drawing in one process"
    ]
    assert "PYTHONSAFEPATH" not in os.environ


def test_a_killed_worker_does_not_end_the_making(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MAKING)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path / "out")], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        until, workers = time.monotonic() + 60, []
        while not workers and time.monotonic() < until:
            started = psutil.Process(process.pid).children()
            workers = [child for child in started if any("spawn_main" in word for word in child.cmdline())]
        time.sleep(0.1)  # a few ms after its start Python 3.11 has not noted it, and waits for the other for ever
        os.kill(workers[0].pid, signal.SIGKILL)
        try:
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert "workers failed" in out
    assert layout.is_complete(tmp_path / "out", "val")
