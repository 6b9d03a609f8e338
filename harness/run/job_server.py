"""Runs each job in a process of its own, forked from a server that has imported the heavy packages once.

A crash, a kill for memory or a hang ends one job and no more, and peak memory is that job's own. A forked job costs
milliseconds where a fresh process would spend seconds on imports. What a job has started ends with it.
"""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from harness.option_fields import time_text
from harness.protocols import Progress
from harness.run.fork_server import Forked, ForkServer, ServerLost
from harness.text.error_text import named_error

_PRELOAD = ("harness.jobs.jobs", "torch._dynamo", "torch.utils.flop_counter", "PIL.Image")
"""What every job needs; torch itself imports `torch._dynamo` late, with the first optimiser, for seconds."""
_LAST = "harness.run.fork_ready"
"""Comes after all other imports in the server."""
_END_SECONDS = 10.0
_START_SECONDS = 600.0
"""The server may take so long for its imports, or longer where jobs may: the first ones on a busy disk are slow."""
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
KILLED, SILENT, OVERRUN, SERVER, CLOSED, REFUSED = "killed", "silent", "overrun", "server", "closed", "refused"
"""Kinds of failure that are no exception's name: killed by a signal or gone without a result; no report for too long;
not done in time; no process to be had; the run has ended; no machine is as the run's."""
LOST_DEVICE = "AcceleratorError"
"""Kind of an error after which a process cannot use its accelerator, whatever exception told it."""


@dataclass(eq=False)
class JobFailure(Exception):
    """A job that ended without a result: its message, and a traceback where it is a bug.

    Not frozen: Python itself writes an exception's traceback.
    """

    message: str
    kind: str
    trace: str | None = None


@dataclass(frozen=True)
class Workers:
    """How the jobs of a run are run.

    `jobs` side by side, 0 for one a core; one that makes no report for `timeout_s` seconds is ended, and one that
    takes `limit_s` seconds in all; 0 for never. `server` is the one to fork them from where it shall serve further
    runs; without it each run has its own. `executor` is where they run: `local`, or SCHEME://ADDRESS of another one.
    `gpu_part` is how much of a GPU's memory a job may fill; it is None where no other worker's jobs are on this
    machine.
    """

    jobs: int = 0
    timeout_s: float = 0.0
    server: ForkServer | None = None
    executor: str = "local"
    limit_s: float = 0.0
    gpu_part: float | None = None


class JobServer:
    """Gives each job a process; use as a context manager. When it is closed no job goes on.

    One forked process stands ready at any time, so that a job does not wait for its own fork.
    """

    def __init__(self, packages: Collection[str] = (), workers: Workers | None = None) -> None:
        """Take in the packages whose plugins will run: an entry point of `bench.preload` has the package's name."""
        workers = workers or Workers()
        self._packages = frozenset(packages)
        self._timeout_s = workers.timeout_s or None
        self._limit_s = workers.limit_s or None
        self._start_s = None if self._timeout_s is None else max(self._timeout_s, _START_SECONDS)
        self._forks = workers.server or ForkServer()
        self._is_own = workers.server is None
        self._lock = threading.Lock()
        self._busy: set[Forked] = set()
        self._spare: Forked | None = None
        self._starter: threading.Thread | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The operating system's id of the fork server."""
        return self._forks.pid

    def __enter__(self) -> Self:
        preload = [entry.value for entry in entry_points(group="bench.preload") if entry.name in self._packages]
        with suppress(ServerLost):  # met again, and told, by the first job
            self._forks.start([*_PRELOAD, *preload, _LAST])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        busy = list(self._busy)
        for process in busy:
            process.kill()
        if self._is_own or error is not None:
            self._forks.close()  # a fork that somebody waits for ends by this
        with self._lock:
            if self._starter is not None:
                self._starter.join()
            spare = [] if self._spare is None else [self._spare]
            self._spare = self._starter = None
        for process in (*busy, *spare):
            process.kill()
            process.wait(_END_SECONDS)
        for process in spare:
            process.close()

    def run(
        self,
        job: Callable[[*Arguments, Progress], Result],
        arguments: tuple[*Arguments],
        progress: Progress,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Call `job(*arguments, progress)` in a fresh process, with `environment` over its own; return its result.

        The function goes there by reference, so it stands in a module that imports nothing heavy, such as
        `harness.jobs.named_jobs`. Raises JobFailure when the job raised, was killed, died, was silent or took too long;
        an interrupt ends the job at once. May be called from several threads; when the server is closed, their jobs are
        killed and no new one starts.
        """
        process = self._take()
        finished = False
        try:
            with suppress(OSError):  # it has died: why is told by the other pipes
                process.requests.send((dict(environment or {}), pickle.dumps((job, arguments))))
            limits = _Limits(self._timeout_s, self._limit_s)
            result: Result = _Wait(process, progress, limits, job.__name__, _kills_for_memory()).result()
            finished = True
        except JobFailure as failure:
            if self._closed:
                raise JobFailure("The run was interrupted.", CLOSED) from None
            raise failure
        finally:
            self._leave(process, finished)
        return result

    def _take(self) -> Forked:
        """Take the process that stands ready, or fork one, and have the next one forked meanwhile."""
        with self._lock:
            if self._closed:
                raise JobFailure("The run has ended.", CLOSED)
            starter, self._starter = self._starter, None
            if starter is not None:
                starter.join()
            process, self._spare = self._spare, None
            if process is not None and not process.is_ready:
                process.kill()
                process.close()
                process = None
            try:
                process = process or self._forks.fork(self._start_s)
            except ServerLost as lost:
                raise JobFailure(lost.message, SERVER) from None
            self._busy.add(process)
            self._starter = threading.Thread(target=self._prepare_spare, daemon=True)
            self._starter.start()
        return process

    def _prepare_spare(self) -> None:
        if not self._closed:
            with suppress(ServerLost):  # the next job asks again
                self._spare = self._forks.fork(self._start_s)

    def _leave(self, process: Forked, finished: bool) -> None:
        """Let a process go: one that has finished ends by itself, and its server kills what it has left behind."""
        process.look()
        if not finished or process.server_lost:
            process.kill()
            process.wait(_END_SECONDS)
        process.close()
        self._busy.discard(process)


@dataclass(frozen=True)
class _Limits:
    """For how long a job may make no report, and how long it may take in all, in seconds; None: as long as it likes."""

    silence_s: float | None
    total_s: float | None


@dataclass
class _Wait:
    """Waits for a job's result; every report counts as a sign of life."""

    process: Forked
    progress: Progress
    limits: _Limits
    doing: str
    kills_before: int | None
    began: float = field(default_factory=time.monotonic)

    def result(self) -> Any:
        """Return the result, or raise the JobFailure that the job, its end, its silence or its length amounts to."""
        reports = self.process.reports
        while True:
            while (content := reports.message()) is None:
                if reports.ended or self.process.exit_code is not None:
                    raise self._death()
                self._wait()
            kind, told = self._unpickled(content)
            if kind == "progress":
                self.doing = told[0]
                self.progress(*told)
            elif kind == "result":
                return told
            else:
                raise JobFailure(*told)

    def _wait(self) -> None:
        """Wait for bytes of a report, or for the end of the process, which others may keep its pipe open after."""
        reports, end, since = self.process.reports, self.process.end, time.monotonic()
        while True:
            watched = [reports.fileno(), *([] if self.process.server_lost else [end.fileno()])]
            if not connection.wait(watched, self._seconds_left(since)) and self._seconds_left(since) == 0:
                raise self._silence()
            if reports.read() or reports.ended:
                return
            self.process.look()
            if self.process.exit_code is not None:
                while reports.read():
                    pass
                return

    @staticmethod
    def _unpickled(content: bytes) -> tuple[str, Any]:
        try:
            kind, told = pickle.loads(content)
        except Exception as error:
            raise JobFailure(f"The job's report cannot be read: {named_error(error)}", type(error).__name__) from None
        return kind, told

    def _seconds_left(self, since: float) -> float | None:
        """How long to wait for a report, silent since then; raises JobFailure for a job that reports, but too long."""
        now, ends = time.monotonic(), []
        if self.limits.silence_s is not None:
            ends.append(since + self.limits.silence_s)
        if self.limits.total_s is not None:
            if now >= self.began + self.limits.total_s:
                raise self._overrun(self.limits.total_s)
            ends.append(self.began + self.limits.total_s)
        return max(0.0, min(ends) - now) if ends else None

    def _silence(self) -> JobFailure:
        seconds = f"{self.limits.silence_s:g}"
        return JobFailure(
            f"The job made no report for {seconds} s (last: {self.doing}) and was ended. If it hangs, mend the model; "
            f"if it is only slow, give it more than --job-timeout {seconds}, or 0 for no limit.",
            SILENT,
        )

    def _overrun(self, seconds: float) -> JobFailure:
        return JobFailure(
            f"The job was not done after {time_text(seconds)} (last: {self.doing}) and was ended. Give it more than "
            f"--job-limit {time_text(seconds)}, or 0 for no limit; a training goes on from the state that it has kept.",
            OVERRUN,
        )

    def _death(self) -> JobFailure:
        self.process.wait(_END_SECONDS)
        return JobFailure(_how_it_ended(self.process.exit_code, self.kills_before), KILLED)


def _how_it_ended(exit_code: int | None, kills_before: int | None) -> str:
    if exit_code is None:
        return "The job ended without a result; how is not known, since the server that it was forked from had ended."
    if exit_code >= 0:
        return f"The job ended with exit code {exit_code} and no result."
    name = signal.Signals(-exit_code).name
    return f"The job was ended by {name}{_reason(kills_before) if name == 'SIGKILL' else ''}."


def _reason(kills_before: int | None) -> str:
    """Say whether the system killed for memory meanwhile, as far as it counts that."""
    kills = _kills_for_memory()
    if kills is None or kills_before is None:
        return " (a guess: the system ran out of memory)"
    if kills > kills_before:
        return " (the system ran out of memory meanwhile and killed a process)"
    return " (not by this system for memory, by its own count: from outside, or by a limit set around it)"


def _kills_for_memory() -> int | None:
    """How many processes this system has killed for memory; None where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
