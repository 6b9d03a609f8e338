"""The runner's side of the fork server: starts it, asks it for processes, starts it anew when it was killed."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from harness.run.cuda_guard import NVML_CHECK
from harness.run.messages import Receiver, Sender

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from harness.run.forking import serve; serve(int(sys.argv[1]), *{rest!r})"
)
_PATIENCE_SECONDS = 10.0
_ANEW = "The next job starts it anew."


@dataclass(eq=False)
class ServerLost(Exception):
    """The fork server has no process to give: it ended, or did not answer; `message` says which."""

    message: str


@dataclass(eq=False)
class Forked:
    """A process that waits for its one job: the job goes in, reports come out, and its end is told.

    `server_lost` says that the server was killed: then nobody waits for the process, and its end is seen by that
    of its reports alone.
    """

    pid: int
    requests: Sender
    reports: Receiver
    end: Receiver
    server_lost: bool = False
    exit_code: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it lives as far as can be seen, and its server too."""
        self.look()
        return self.exit_code is None and not self.server_lost

    def look(self) -> None:
        """Take in what the server has told of its end, without waiting."""
        self.end.read()
        content = self.end.message()
        if content is not None:
            self.exit_code = pickle.loads(content)[1]
        self.server_lost = self.exit_code is None and self.end.ended

    def kill(self) -> None:
        """Kill it and all that it has started, unless it has ended already."""
        self.look()
        if self.exit_code is None:
            for kill in (os.killpg, os.kill):
                with suppress(OSError):
                    kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Wait until its end has been told, at most so long."""
        if self.is_ready and (content := self.end.wait(seconds)) is not None:
            self.exit_code = pickle.loads(content)[1]

    def close(self) -> None:
        """Let go of the pipes; one that has had no job ends by that."""
        for pipe in (self.requests, self.reports, self.end):
            pipe.close()


class ForkServer:
    """A process with the heavy packages in memory that forks; use as a context manager. It starts when first needed.

    It may serve several runs, one after the other. What it and its children print goes to standard error, and neither
    they nor any Python that they start import from the working directory, which may hold somebody's `torch.py`.
    """

    def __init__(self, entry: str = "harness.run.job_process:run_job") -> None:
        """`entry` is MODULE:FUNCTION, which a forked process calls with the descriptors of its two pipes."""
        self._entry = entry
        self._modules: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The operating system's id of the server; None where none was started."""
        return self._process.pid if self._process else None

    def start(self, modules: Sequence[str]) -> None:
        """Start it with these modules in memory, unless it runs already; raises ServerLost."""
        with self._lock:
            if not self._is_alive():
                self._modules = tuple(modules)
                self._start()

    def fork(self, seconds: float | None = None) -> Forked:
        """Ask for a process, of a new server where the last one has ended; raises ServerLost.

        Waits for the server's imports, at most so many seconds where they are given.
        """
        with self._lock:
            if not self._is_alive():
                self._start()
            assert self._control is not None
            (job_in, job_out), (reports_in, reports_out), (end_in, end_out) = (os.pipe() for _ in range(3))
            forked = Forked(0, Sender(job_out), Receiver(reports_in), Receiver(end_in))
            theirs = [job_in, reports_out, end_out]
            try:
                with suppress(OSError):  # it has ended: the pipe's end tells
                    socket.send_fds(self._control, [b"1"], theirs)
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            try:
                forked.pid = self._pid(forked.end, seconds)
            except BaseException:
                forked.close()
                raise
        return forked

    def close(self) -> None:
        """End it, and with it all that it has forked; safe to call twice, also while another thread waits for it."""
        process, control = self._process, self._control
        if control is not None:
            with suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
        if process is not None:
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:  # it was stopped
                process.kill()
                process.wait()
        if control is not None:
            control.close()

    def _pid(self, end: Receiver, seconds: float | None) -> int:
        content = end.wait(seconds)
        if content is not None:
            kind, told = pickle.loads(content)
            if kind == "forked":
                return int(told)
            raise ServerLost(f"No process could be started for the job: {told.rstrip('.')}.")
        if end.ended:
            raise ServerLost(f"The server that processes are forked from ended ({self._how_it_ended()}). {_ANEW}")
        self.close()
        raise ServerLost(
            f"The server that processes are forked from did not answer for {seconds:g} s; it was ended. {_ANEW}"
        )

    def _how_it_ended(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return "it answers no more"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair()
        path = [entry for entry in sys.path if entry]
        program = _PROGRAM.format(path=path, rest=(self._entry, self._modules))
        warnings = [f"-W{option}" for option in sys.warnoptions]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", *warnings, "-c", program, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **NVML_CHECK, "PYTHONSAFEPATH": "1"},
                )
            except OSError as error:
                ours.close()
                raise ServerLost(
                    f"The server that processes are forked from cannot be started: {error}. {_ANEW}"
                ) from None
        self._control = ours
