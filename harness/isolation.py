"""Runs each job in a process of its own, forked from a server that has imported the heavy packages once.

A crash, a kill for memory or a hang ends one job and no more, and peak memory is that job's own. The server
never touches torch's threads or CUDA, so that forking it is safe; a forked job costs milliseconds where a
fresh process would spend seconds on imports.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import traceback
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from multiprocessing import connection, forkserver, get_context, parent_process
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from harness.errors import BenchError
from harness.protocols import Progress

_PRELOAD = ("harness.jobs", "harness.cli", "torch._dynamo", "torch.utils.flop_counter", "PIL.Image")
"""What every job needs; torch itself imports `torch._dynamo` late, with the first optimiser, for seconds."""
_LAST = "harness.fork_ready"
"""Comes after all other imports in the server."""
_NOT_WRITABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG)


@dataclass(eq=False)
class JobFailure(Exception):
    """A job that ended without a result: its message, and a traceback where it is a bug.

    Not frozen: Python itself writes an exception's traceback.
    """

    message: str
    kind: str
    trace: str | None = None


@dataclass(eq=False)
class _Worker:
    """A forked process that waits for its one job: requests go in, reports come out."""

    process: Any
    requests: Connection
    reports: Connection

    def close(self) -> None:
        """Let go of the pipes; the process ends by itself, or has been killed."""
        self.requests.close()
        self.reports.close()


class JobServer:
    """A fork server with the heavy packages in memory; use as a context manager.

    One forked process stands ready at any time, so that a job does not wait for its own fork.
    """

    def __init__(self, packages: Collection[str] = ()) -> None:
        """Take in the packages whose plugins will run: an entry point of `bench.preload` has the package's name."""
        self._packages = frozenset(packages)
        self._context = get_context("forkserver")
        self._lock = threading.Lock()
        self._alive: list[Any] = []
        self._spare: _Worker | None = None
        self._starter: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> Self:
        preload = [entry.value for entry in entry_points(group="bench.preload") if entry.name in self._packages]
        self._context.set_forkserver_preload([*_PRELOAD, *preload, _LAST])
        forkserver.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for process in list(self._alive):
            process.kill()
        if self._starter is not None:
            self._starter.join()
        for process in self._alive:
            process.kill()
            process.join()
        self._alive.clear()
        if self._spare is not None:
            self._spare.close()

    def run(self, name: str, arguments: Sequence[Any], progress: Progress) -> Any:
        """Call `harness.NAME(*arguments, progress)`, as `jobs.train_job`, in a fresh process; return its result.

        The function goes by name, since only the job's process may import torch. Raises JobFailure when
        the job raised, was killed or died; an interrupt ends the job at once. May be called from several
        threads; when the server is closed, their jobs are killed and no new one starts.
        """
        worker = self._take()
        try:
            with suppress(BrokenPipeError):  # it has died: why is told by the other pipe
                worker.requests.send((name, tuple(arguments)))
            result = _receive(worker.reports, worker.process, progress)
        except BaseException as error:
            if not isinstance(error, JobFailure):
                worker.process.kill()
                worker.process.join(timeout=10)
            raise
        finally:
            worker.close()
        return result

    def _take(self) -> _Worker:
        """Take the process that stands ready, or fork one, and have the next one forked meanwhile."""
        with self._lock:
            if self._closed:
                raise JobFailure("The run has ended.", "closed")
            self._alive = [process for process in self._alive if process.is_alive()]
            starter, self._starter = self._starter, None
            if starter is not None:
                starter.join()
            worker, self._spare = self._spare, None
            if worker is None or not worker.process.is_alive():
                worker = self._fork()
            self._starter = threading.Thread(target=self._prepare_spare, daemon=True)
            self._starter.start()
        return worker

    def _prepare_spare(self) -> None:
        if not self._closed:
            self._spare = self._fork()

    def _fork(self) -> _Worker:
        receiver, requests = self._context.Pipe(duplex=False)
        reports, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_child, args=(receiver, sender), daemon=True)
        process.start()
        self._alive.append(process)
        receiver.close()
        sender.close()
        return _Worker(process, requests, reports)


def _receive(receiver: Connection, process: Any, progress: Progress) -> Any:
    while True:
        try:
            kind, content = receiver.recv()
        except (EOFError, OSError):
            process.join(timeout=30)
            raise JobFailure(_death(process.exitcode), "killed") from None
        if kind == "progress":
            progress(*content)
        elif kind == "result":
            return content
        else:
            raise JobFailure(*content)


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " (most often the system ran out of memory)" if name == "SIGKILL" else ""
        return f"The job was ended by {name}{hint}."
    return f"The job ended with exit code {exit_code} and no result."


def _child(receiver: Connection, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        name, arguments = receiver.recv()
    except EOFError:  # the runner has let go of this process: it was never needed
        return

    def progress(what: str, done: int, total: int) -> None:
        sender.send(("progress", (what, done, total)))

    try:
        module, _, function = name.rpartition(".")
        result = getattr(import_module(f"harness.{module}"), function)(*arguments, progress)
        sender.send(("result", result))
    except BenchError as error:
        sender.send(("failure", (str(error), type(error).__name__, None)))
    except Exception as error:
        sender.send(("failure", _explained(error)))
    sender.close()


def _explained(error: Exception) -> tuple[str, str, str | None]:
    """Message, kind and, for a bug, the traceback; a full disk and too little memory are no bugs."""
    from harness.evaluate import is_out_of_memory

    if is_out_of_memory(error):
        return f"Out of memory ({error}). Take a smaller model, image or batch.", "OutOfMemory", None
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        remedy = "Free space or permissions there; BENCH_CACHE and --results say where files go."
        return f"{error}. {remedy}", "OSError", None
    return f"{type(error).__name__}: {error}", type(error).__name__, traceback.format_exc()


def _die_with_parent() -> None:
    """End this process as soon as the runner is gone, even when it was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
