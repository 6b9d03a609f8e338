"""Real processes: whatever a job does, the runner gets a result or a failure with a reason, and no orphan stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import Progress
from harness.run import job_server as isolation
from harness.run.job_server import LOST_DEVICE, JobFailure, JobServer, Workers

PLANTED = r"""
import os, signal, sys, time
import harness.run.messages
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
    if what == "lost device":
        import torch
        try:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        except RuntimeError:
            raise TrainingDiverged("the loss is nan")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(7)
    if what == "sys.exit":
        sys.exit(4)
    if what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "hang":
        progress("counting to infinity", 0, 0)
        while True:
            pass
    if what == "half a message":
        os.write(reports_of(progress), harness.run.messages._LENGTH.pack(1000) + b"half")
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "tensor":
        import torch
        return {"it": torch.arange(3.0)}
    if what == "surrogates":
        raise ValueError("\ud800 \x1b[2J")
    if what == "long":
        raise ValueError("x" * 20_000_000)
    if what == "mute":
        raise Mute
    if what == "no pickle":
        return Mute()
    if what == "print":
        print("to standard output")
        os.system("echo to standard output, by another program")
    if what == "path":
        import subprocess
        own = subprocess.run([sys.executable, "-c", "import sys; print(sys.path)"], capture_output=True, text=True)
        return sys.path, own.stdout
    if what.startswith("family"):
        family(what.split()[1])
        if what.endswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if what.endswith("forever"):
            os.kill(os.getpid(), signal.SIGSTOP)
    if what.startswith("sleep"):
        open(what.partition(" ")[2], "w").write(str(os.getpid()))
        time.sleep(600)

def reports_of(progress):
    (sender,) = [cell.cell_contents for cell in progress.__closure__]
    return sender._descriptor

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")
    def __reduce__(self):
        raise RuntimeError("no pickle")

def family(path):
    # Ten grandchildren that hold every pipe open; half of them lead sessions of their own.
    import time
    for number in range(10):
        if os.fork() == 0:
            if number % 2:
                os.setsid()
            open(f"{path}/{os.getpid()}", "w").close()
            time.sleep(600)
    while len(os.listdir(path)) < 10:
        time.sleep(0.01)

"""
RUNNER = """
import sys
import planted_job
from harness.run import job_server as isolation
isolation._PRELOAD = ()
with isolation.JobServer(("planted",)) as server:
    server.run(planted_job.planted, (sys.argv[1],), lambda *_: None)
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
        with JobServer(("planted",)) as server:
            yield server


@contextmanager
def planted_server(site: Path, timeout_s: float = 0.0) -> Iterator[JobServer]:
    """A server of one's own that is quick to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site))
        patch.setattr(isolation, "_PRELOAD", ())  # nothing of torch
        with JobServer(("planted",), Workers(timeout_s=timeout_s)) as server:
            yield server


@pytest.fixture(scope="module")
def patient(site: Path) -> Iterator[JobServer]:
    with planted_server(site, 1.0) as server:
        yield server


def planted() -> Callable[[str, Progress], Any]:
    """The planted job, which is sent by reference."""
    job: Callable[[str, Progress], Any] = import_module("planted_job").planted
    return job


def run(server: JobServer, what: str) -> Any:
    return server.run(planted(), (what,), lambda *_: None)


def test_results_and_progress_come_back(server: JobServer) -> None:
    told: list[tuple[str, int, int]] = []
    assert server.run(planted(), ("add",), lambda *now: told.append(now)) == 3
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
        ("lost device", "AcceleratorError: CUDA error: device-side assert", LOST_DEVICE, True),
        ("kill", "ended by SIGKILL \\(not by this system for memory", "killed", False),
        ("segfault", "ended by SIGSEGV", "killed", False),
        ("exit", "exit code 7 and no result", "killed", False),
        ("sys.exit", "exit code 4 and no result", "killed", False),
        ("surrogates", r"ValueError: \\ud800 \\u001b\[2J$", "ValueError", True),
        ("long", "ValueError: x{1600} … .19,998,000 characters left out. … x{400}$", "ValueError", True),
        ("mute", "Mute: .its message cannot be read: its __str__ raises RuntimeError", "Mute", True),
        ("no pickle", "RuntimeError: no pickle", "RuntimeError", True),
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


def test_tensors_travel_by_value_though_their_process_has_ended(server: JobServer) -> None:
    assert run(server, "tensor")["it"].tolist() == [0.0, 1.0, 2.0]


def test_nothing_that_a_job_prints_is_on_standard_output(server: JobServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(server, "print") is None
    assert capfd.readouterr().out == ""


def test_neither_a_job_nor_what_it_starts_imports_from_the_working_directory(server: JobServer) -> None:
    own, child = run(server, "path")
    assert "" not in own
    assert "''" not in child


@pytest.mark.parametrize("what", ["hang", "stop", "half a message"])
def test_a_job_that_makes_no_report_is_ended(what: str, site: Path, patient: JobServer) -> None:
    started = time.monotonic()
    with pytest.raises(JobFailure) as caught:
        run(patient, what)
    assert 1 < time.monotonic() - started < 8
    last = "counting to infinity" if what == "hang" else "planted"
    assert f"made no report for 1 s (last: {last}) and was ended" in caught.value.message
    assert "more than --job-timeout 1, or 0 for no limit" in caught.value.message
    assert caught.value.kind == "silent"
    assert run(patient, "add") == 3


def test_the_server_killed_between_jobs_is_started_anew(patient: JobServer) -> None:
    assert run(patient, "add") == 3
    assert patient.pid is not None
    os.kill(patient.pid, signal.SIGKILL)
    assert run(patient, "add") == 3


def test_the_server_killed_while_it_is_asked_fails_one_job(site: Path, processes: Any) -> None:
    with planted_server(site) as server, ThreadPoolExecutor(1) as pool:
        assert run(server, "add") == 3
        assert run(server, "add") == 3
        assert server.pid is not None
        with server._lock:  # no process shall stand ready
            assert server._starter is not None
            server._starter.join()
            os.kill(server._spare.pid if server._spare else 0, signal.SIGKILL)
            processes.wait_until(lambda: server._spare is None or not server._spare.is_ready, 10)
            os.kill(server.pid, signal.SIGSTOP)
        found = pool.submit(run, server, "add")
        time.sleep(0.3)
        os.kill(server.pid, signal.SIGKILL)
        failure = found.exception(10)
        assert isinstance(failure, JobFailure)
        assert (failure.kind, failure.trace) == ("server", None)
        assert "The server that processes are forked from ended (SIGKILL)" in failure.message
        assert run(server, "add") == 3


def test_the_server_killed_under_a_job_loses_nothing(site: Path, tmp_path: Path, processes: Any) -> None:
    with planted_server(site) as patient, ThreadPoolExecutor(1) as pool:
        found = pool.submit(run, patient, f"sleep {tmp_path / 'pid'}")
        processes.wait_until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text() != "", 60)
        os.kill(patient.pid or 0, signal.SIGKILL)
        time.sleep(0.2)
        assert processes.is_alive(int((tmp_path / "pid").read_text()))
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        failure = found.exception(10)
        assert isinstance(failure, JobFailure)
        assert "ended without a result" in failure.message
        assert run(patient, "add") == 3


def test_what_a_job_has_started_ends_with_it_or_with_the_run(site: Path, tmp_path: Path, processes: Any) -> None:
    with planted_server(site) as server:
        assert run(server, f"family {tmp_path}") is None
        family = [int(path.name) for path in tmp_path.iterdir()]
        assert len(family) == 10
        processes.wait_until(lambda: sum(map(processes.is_alive, family)) <= 5, 5)
        fork_server = server.pid
    assert not any(processes.is_alive(process) for process in [*family, fork_server])


@pytest.mark.parametrize("victim", ["runner", "during the job"])
def test_grandchildren_end_when_runner_or_job_is_killed(
    victim: str, site: Path, tmp_path: Path, processes: Any
) -> None:
    (tmp_path / "family").mkdir()
    job = f"family {tmp_path / 'family'} forever" if victim == "runner" else f"family {tmp_path / 'family'} killed"
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, job], env=os.environ | {"PYTHONPATH": str(site)})
    try:
        processes.wait_until(lambda: len(list((tmp_path / "family").iterdir())) == 10, 120)
        family = [int(path.name) for path in (tmp_path / "family").iterdir()]
        if victim == "runner":
            runner.send_signal(signal.SIGKILL)
        runner.wait(30)
        processes.wait_until(lambda: not any(map(processes.is_alive, family)), 10)
    finally:
        runner.kill()
        runner.wait()


SLOW_IMPORT = """
import os, time
with open({path!r}, "w") as file:
    file.write(str(os.getpid()))
time.sleep(60)
"""
STARTER = """
import time
from harness.run.fork_server import ForkServer
server = ForkServer()
server.start(["slow_import"])
time.sleep(60)
"""


def test_the_server_ends_with_its_runner_also_during_its_imports(tmp_path: Path, processes: Any) -> None:
    (tmp_path / "slow_import.py").write_text(SLOW_IMPORT.format(path=str(tmp_path / "pid")))
    runner = subprocess.Popen([sys.executable, "-c", STARTER], env=os.environ | {"PYTHONPATH": str(tmp_path)})
    try:
        processes.wait_until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text() != "", 60)
        server = int((tmp_path / "pid").read_text())
        assert processes.is_alive(server)
    finally:
        runner.kill()
        runner.wait()
    processes.wait_until(lambda: not processes.is_alive(server), 3)


def test_a_temporary_folder_of_any_length_will_do(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AF_UNIX names at most 108 characters; TMPDIR on clusters has more."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with planted_server(site) as server:
        assert run(server, "add") == 3


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
