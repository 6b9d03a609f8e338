"""What runs the jobs of a run: the promise that each kind of executor keeps, and what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from harness.protocols import Progress
from harness.run.job_server import Arguments, Result

CPU = "cpu"


@dataclass(frozen=True)
class JobRequest:
    """What a job needs beside its arguments, and who is told of it.

    `progress` is called from other threads. `device` is a kind, `cpu` or `cuda`: inside the job the kind's first device
    is its own. A job that is `alone` is measured: nothing else of this run computes on its device meanwhile, and where
    that is the CPU, nothing else on the machine. Of those that wait, measurements come first and then lower `order`.
    """

    label: str
    progress: Progress
    device: str = CPU
    alone: bool = False
    order: int = 0


class Executor(Protocol):
    """Runs jobs, each in a process of its own; a context manager, and when it is closed no job goes on."""

    @property
    def slots(self) -> int:
        """How many jobs it runs at once."""
        ...

    @property
    def held_back(self) -> int:
        """How many measurements may wait for one another, so that few pauses serve many of them."""
        ...

    def submit(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        """Have `job(*arguments, progress)` called as soon as there is room; returns at once.

        The function goes to its process by reference, as for `harness.run.job_server.JobServer.run`, and the arguments
        are pickled. The future raises JobFailure when the job raised, was killed or was silent for too long, of kind
        CLOSED when the executor was closed first. May be called from several threads.
        """
        ...

    def working_here(self) -> AbstractContextManager[None]:
        """Wrap what the caller computes in its own process: it waits for measurements on its machine, and they for it.

        Not to be held while the caller waits for a job.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
