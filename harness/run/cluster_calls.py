"""Jobs that a run has asked a cluster for: which of them wait and which were sent, and how each of them ends.

The run's threads ask for jobs while one thread of the executor listens to the cluster; what they share is here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition
from typing import Any, Generic, Protocol, TypeVar

from harness.protocols import NOTICE
from harness.run.executor import JobRequest
from harness.run.job_server import CLOSED, JobFailure


class ClusterCall(Protocol):
    """A job that was asked for, with whatever an executor knows of it besides."""

    request: JobRequest
    future: Future[Any]


_Call = TypeVar("_Call", bound=ClusterCall)


class ClusterCalls(Generic[_Call]):
    """The jobs of one executor; whoever reads or moves `waiting` and `sent` holds `changed`."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.waiting: list[_Call] = []
        self.sent: list[_Call] = []
        self.closed = False

    def ask(self, call: _Call, send: Callable[[], None] = lambda: None) -> Future[Any]:
        """Let a job wait, `send` what may be sent, and wake whoever listens; a job that comes too late has failed."""
        call.future.set_running_or_notify_cancel()  # it is ended by closing alone
        with self.changed:
            if self.closed:
                call.future.set_exception(_ended())
            else:
                self.waiting.append(call)
                send()
                self.changed.notify_all()
        return call.future

    def end(self, call: _Call, result: Any) -> None:
        """A job that was sent has a result."""
        self._leave(call)
        call.future.set_result(result)

    def fail(self, call: _Call, failure: JobFailure) -> None:
        """A job that was sent has failed."""
        self._leave(call)
        call.future.set_exception(failure)

    def fail_all(self, error: Exception) -> None:
        """The cluster has failed all that it was sent."""
        with self.changed:
            left, self.sent = self.sent, []
        for call in left:
            call.future.set_exception(error)

    def close(self) -> None:
        """Take no further job, and let whoever listens see that."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def give_up(self, error: Exception | None = None) -> list[_Call]:
        """Fail what has not ended, with `error` or since the run has ended; returns these jobs. None is taken then."""
        with self.changed:
            self.closed = True
            left = [*self.sent, *self.waiting]
            self.sent, self.waiting = [], []
        for call in left:
            call.future.set_exception(error or _ended())
        return left

    def _leave(self, call: _Call) -> None:
        with self.changed:
            self.sent.remove(call)


def tell_run(call: ClusterCall, message: str) -> None:
    """Tell the run of a job what the user must read."""
    call.request.progress(f"{call.request.label}: {message}", 0, NOTICE)


def _ended() -> JobFailure:
    return JobFailure("The run has ended.", CLOSED)
