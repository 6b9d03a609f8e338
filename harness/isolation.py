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
_NOT_WRITABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG)


@dataclass(eq=False)
class JobFailure(Exception):
    """A job that ended without a result: its message, and a traceback where it is a bug.

    Not frozen: Python itself writes an exception's traceback.
    """

    message: str
    kind: str
    trace: str | None = None


class JobServer:
    """A fork server with the heavy packages in memory; use as a context manager."""

    def __init__(self, packages: Collection[str] = ()) -> None:
        """Take in the packages whose plugins will run: an entry point of `bench.preload` has the package's name."""
        self._packages = frozenset(packages)
        self._context = get_context("forkserver")
        self._running: set[Any] = set()
        self._closed = False

    def __enter__(self) -> Self:
        preload = [entry.value for entry in entry_points(group="bench.preload") if entry.name in self._packages]
        self._context.set_forkserver_preload([*_PRELOAD, *preload])
        forkserver.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for process in list(self._running):
            process.kill()

    def run(self, name: str, arguments: Sequence[Any], progress: Progress) -> Any:
        """Call `harness.jobs.NAME(*arguments, progress)` in a fresh process and return its result.

        The function goes by name, since only the job's process may import torch. Raises JobFailure when
        the job raised, was killed or died; an interrupt ends the job at once. May be called from several
        threads; when the server is closed, their jobs are killed and no new one starts.
        """
        if self._closed:
            raise JobFailure("The run has ended.", "closed")
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_child, args=(sender, name, tuple(arguments)), daemon=True)
        process.start()
        self._running.add(process)
        sender.close()
        try:
            return _receive(receiver, process, progress)
        except BaseException as error:
            if not isinstance(error, JobFailure):
                process.kill()
            raise
        finally:
            receiver.close()
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
                process.join()
            self._running.discard(process)


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


def _child(sender: Connection, name: str, arguments: Sequence[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def progress(what: str, done: int, total: int) -> None:
        sender.send(("progress", (what, done, total)))

    try:
        result = getattr(import_module("harness.jobs"), name)(*arguments, progress)
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
