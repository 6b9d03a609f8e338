"""Real processes: whatever a job does, the runner gets a result or a failure with a reason, and no orphan stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pipe, forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.isolation import JobFailure, JobServer, _receive

PLANTED = """
import os, signal, sys, time
import harness.jobs
from harness.errors import TrainingDiverged

def planted(what, progress):
    if what == "add":
        progress("adding", 1, 2)
        progress("adding", 2, 2)
        return 3
    if what == "huge":
        return bytes(50_000_000)
    if what == "pid":
        return os.getpid()
    if what == "raise":
        raise ValueError("planted")
    if what == "bench error":
        raise TrainingDiverged("the loss is nan")
    if what == "unpicklable":
        return lambda: None
    if what == "disk full":
        raise OSError(28, "No space left on device", "/cache/pixels/a.npy")
    if what == "memory":
        raise MemoryError
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(7)
    if what == "sys.exit":
        sys.exit(4)
    if what.startswith("sleep"):
        open(what.partition(" ")[2], "w").write(str(os.getpid()))
        time.sleep(600)

harness.jobs.planted = planted
"""
RUNNER = """
import sys
from harness.isolation import JobServer
with JobServer(("planted",)) as server:
    server.run("jobs.planted", [sys.argv[1]], lambda *_: None)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose preload plants a job."""
    site = tmp_path_factory.mktemp("site")
    information = site / "planted_job-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-job\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[bench.preload]\nplanted = planted_job\n")
    (site / "planted_job.py").write_text(PLANTED)
    return site


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[JobServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site))
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        with JobServer(("planted",)) as server:
            yield server
        forkserver._forkserver._stop()  # type: ignore[attr-defined]


def run(server: JobServer, what: str) -> Any:
    return server.run("jobs.planted", [what], lambda *_: None)


def test_results_and_progress_come_back(server: JobServer) -> None:
    told: list[tuple[str, int, int]] = []
    assert server.run("jobs.planted", ["add"], lambda *now: told.append(now)) == 3
    assert told == [("adding", 1, 2), ("adding", 2, 2)]
    assert len(run(server, "huge")) == 50_000_000


def test_each_job_has_a_process_of_its_own(server: JobServer) -> None:
    assert len({run(server, "pid"), run(server, "pid"), os.getpid()}) == 3


def test_a_further_job_in_a_warm_runner_costs_little(server: JobServer) -> None:
    """A cell has three jobs and may cost 50 ms besides its own work; a busy machine gets five times that."""
    run(server, "add")
    seconds = []
    for _ in range(15):
        started = time.perf_counter()
        run(server, "add")
        seconds.append(time.perf_counter() - started)
    assert 3 * sorted(seconds)[3] < 0.25


@pytest.mark.parametrize(
    ("what", "message", "kind", "traced"),
    [
        ("raise", "ValueError: planted", "ValueError", True),
        ("bench error", "the loss is nan", "TrainingDiverged", False),
        ("unpicklable", "planted.<locals>.<lambda>", "", True),
        ("disk full", "No space left on device.*/cache/pixels/a.npy.*Free space", "OSError", False),
        ("memory", "Out of memory", "OutOfMemory", False),
        ("kill", "ended by SIGKILL .*ran out of memory", "killed", False),
        ("segfault", "ended by SIGSEGV", "killed", False),
        ("exit", "exit code 7 and no result", "killed", False),
        ("sys.exit", "exit code 4 and no result", "killed", False),
    ],
)
def test_a_job_that_fails_says_why(what: str, message: str, kind: str, traced: bool, server: JobServer) -> None:
    with pytest.raises(JobFailure) as caught:
        run(server, what)
    failure = caught.value
    assert re.search(message, failure.message)
    assert kind in failure.kind
    assert (failure.trace is not None) == traced
    assert run(server, "add") == 3


def test_a_job_killed_in_the_middle_of_a_message_is_a_failure() -> None:
    receiver, sender = Pipe(duplex=False)
    os.write(sender.fileno(), (1000).to_bytes(4, "big") + b"half")
    sender.close()
    dead = SimpleNamespace(exitcode=-signal.SIGKILL, join=lambda timeout: None)
    with pytest.raises(JobFailure) as caught:
        _receive(receiver, dead, lambda *_: None)
    assert "SIGKILL" in caught.value.message


def test_a_job_that_is_told_to_stop_is_ended_at_once(server: JobServer, tmp_path: Path, processes: Any) -> None:
    """Ctrl-C arrives while the runner waits: the job must not go on for seconds."""
    path = tmp_path / "pid"
    old = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(server, f"sleep {path}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert not processes.is_alive(int(path.read_text()))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_job_dies_with_its_runner(site: Path, tmp_path: Path, processes: Any) -> None:
    path = tmp_path / "pid"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, f"sleep {path}"],
        env=os.environ | {"PYTHONPATH": str(site)},
        start_new_session=True,
    )
    try:
        processes.wait_until(lambda: path.is_file() and path.read_text() != "", 120)
        runner.send_signal(signal.SIGKILL)
        runner.wait(10)
        processes.wait_until(lambda: not processes.is_alive(int(path.read_text())), 10)
        processes.wait_until(lambda: not processes.in_group(runner.pid), 10)
    finally:
        processes.kill_group(runner.pid)
