"""An executor on a machine, or on a part of a GPU, that cells of other workers use too: each job waits for its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from harness.jobs import named_jobs
from harness.protocols import Progress
from harness.run.executor import CPU, Executor, JobRequest
from harness.run.job_server import Arguments, Result
from harness.run.machine_turns import MachineTurns


class SharedMachine:
    """Runs what another executor runs, in turns with all others of this kind on the machine."""

    def __init__(self, executor: Executor, gpu_part: float = 1.0, turns: MachineTurns | None = None) -> None:
        """`gpu_part` is how much of the GPU's memory a job may fill."""
        self._executor, self._gpu_part, self._turns = executor, gpu_part, turns or MachineTurns()

    @property
    def slots(self) -> int:
        """How many jobs it runs at once."""
        return self._executor.slots

    @property
    def held_back(self) -> int:
        """How many measurements may wait for one another."""
        return self._executor.held_back

    def __enter__(self) -> Self:
        self._executor.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.__exit__(kind, error, trace)

    def submit(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        """Queue a job; see `harness.run.executor.Executor`."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                with self._turns.turn(request.device, alone=request.alone):
                    future.set_result(self._submitted(job, arguments, request).result())
            except BaseException as error:  # whatever it is, somebody waits for it
                future.set_exception(error)

        threading.Thread(target=run, daemon=True, name="turn").start()
        return future

    def _submitted(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        if request.device == CPU or self._gpu_part == 1:
            return self._executor.submit(job, arguments, request)
        limited: Future[Result] = self._executor.submit(
            named_jobs.within_part_of_gpu, (self._gpu_part, job, arguments), request
        )
        return limited

    @contextmanager
    def working_here(self) -> Iterator[None]:
        """Wrap what this process computes."""
        with self._turns.turn(CPU, alone=False), self._executor.working_here():
            yield
