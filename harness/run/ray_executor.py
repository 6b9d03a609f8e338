"""Runs jobs on the nodes of a Ray cluster: Ray Core tasks, of which each calls one job and streams its reports.

Ray finds a node with room and says when a worker, a node or the memory of one is lost. It neither retries nor keeps
state for us: a job that was lost is sent again from here, and that is told.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from harness.errors import ClusterLost, UsageError
from harness.protocols import Progress
from harness.run.choose_executor import Workload
from harness.run.cluster_calls import ClusterCalls, tell_run
from harness.run.executor import CPU, JobRequest
from harness.run.executor_address import GPUS, ExecutorAddress
from harness.run.job_server import CLOSED, REFUSED, Arguments, JobFailure, Result, Workers
from harness.run.ray_node import NODE, PROGRESS, report_job
from harness.run.reported import LOST, NO_MEMORY, RESULT
from harness.text.error_text import error_text

AUTO, LOCAL = "auto", "local"
_ATTEMPTS = 10
_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_ENVIRONMENT = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else workers get another Python than the one that runs here
    "RAY_task_oom_retries": "0",  # else Ray runs what has filled a node's memory there again, without a word
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
}


def open_ray(workload: Workload, workers: Workers) -> RayExecutor:
    """Open the cluster that `--executor ray://…` names; raises UsageError."""
    address = ExecutorAddress.parse(workers.executor, (GPUS,))
    place = address.place
    host, _, port = place.rpartition(":")
    if place not in (AUTO, LOCAL) and not (host and port.isdecimal()):
        raise UsageError(
            f"--executor {workers.executor}: wanted ray://HOST:PORT (what `ray start` takes as --address), ray://auto "
            "(the cluster that this machine belongs to) or ray://local (a new one on this machine)."
        )
    gpus = 0.0 if workload.device == CPU else address.gpus_a_cell(workload.processes, spreads=workload.spreads)
    return RayExecutor(place, Needs(workload.threads, gpus), workers.jobs)


@dataclass(frozen=True)
class Needs:
    """What a job takes of a node: CPUs, and GPUs where it is one for a GPU."""

    cpus: int = 1
    gpus: float = 1.0


@dataclass(eq=False)
class _Call:
    """A job that was sent: its present task's stream of reports, where it runs, and how often it was lost."""

    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    request: JobRequest
    future: Future[Any] = field(default_factory=Future)
    stream: Any = None
    node: tuple[str, str] = ("", "a node")
    attempts: int = 0


class RayExecutor:
    """Runs jobs on a cluster; a context manager that joins it, and leaves it when it is closed."""

    def __init__(self, place: str, needs: Needs, at_once: int = 0) -> None:
        """`place` is HOST:PORT, `auto` or `local`; `at_once` are the jobs in the cluster at most, 0 for no limit."""
        self._place, self._needs, self._at_once = place, needs, at_once
        self._calls = ClusterCalls[_Call]()
        self._refusals: dict[str, str] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True, name="ray")
        self._ray: Any = None
        self._task: Any = None

    @property
    def slots(self) -> int:
        """How many jobs the cluster runs at once now; it may grow."""
        here = self._ray.cluster_resources()
        return max(1, int(here.get("CPU", 1) // self._needs.cpus))

    @property
    def held_back(self) -> int:
        """No measurement waits here: each node takes its own turns."""
        return 0

    def working_here(self) -> AbstractContextManager[None]:
        """Nothing is measured on this machine by this executor."""
        return nullcontext()

    def __enter__(self) -> Self:
        self._ray = _join(self._place)
        self._task = self._ray.remote(max_retries=0, num_cpus=self._needs.cpus)(report_job)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.close()
        self._listener.join()
        for call in self._calls.give_up():
            with suppress(Exception):
                self._ray.cancel(call.stream, force=True)
        self._ray.shutdown()

    def submit(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        """Send a job to whichever node has room; see `harness.run.executor.Executor`."""
        return self._calls.ask(_Call(job, arguments, request), self._send_waiting)

    def _send_waiting(self) -> None:
        """Send what may be in the cluster now; whoever calls has the lock."""
        while self._calls.waiting and (not self._at_once or len(self._calls.sent) < self._at_once):
            call = self._calls.waiting.pop(0)
            self._send(call)
            self._calls.sent.append(call)

    def _send(self, call: _Call) -> None:
        call.attempts += 1
        wanted: dict[str, Any] = {"num_returns": "streaming", "name": call.request.label}
        if call.request.device != CPU:
            wanted["num_gpus"] = self._needs.gpus
        if self._refusals:
            wanted["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._refusals)})"}
        call.stream = self._task.options(**wanted).remote(call.job, call.arguments)

    def _listen(self) -> None:
        """Take reports in until the executor is closed."""
        while True:
            with self._calls.changed:
                self._calls.changed.wait_for(lambda: self._calls.closed or self._calls.sent)
                if self._calls.closed:
                    return
                streams = {call.stream: call for call in self._calls.sent}
            try:
                ready, _ = self._ray.wait(list(streams), num_returns=1, timeout=_POLL_SECONDS, fetch_local=False)
                for stream in ready:
                    self._take_in(streams[stream])
            except Exception as error:  # whoever waits for a job must not wait for ever
                lost = f"{self._place}: {error_text(error)} Run again: finished cells are kept."
                self._calls.give_up(ClusterLost(lost))
                return

    def _take_in(self, call: _Call) -> None:
        try:
            kind, told = self._ray.get(next(call.stream))
        except Exception as error:  # of Ray's own: the job's are reports
            self._lost(call, error)
            return
        if kind == NODE:
            call.node = told
        elif kind == PROGRESS:
            call.request.progress(*told)
        elif kind == RESULT:
            self._calls.end(call, told)
            self._send_next()
        elif (failure := JobFailure(*told)).kind == REFUSED:
            self._refused(call, failure.message)
        else:
            self._fail(call, failure)

    def _lost(self, call: _Call, error: Exception) -> None:
        """Send a job again whose worker or node was lost; one that has filled a node's memory has failed."""
        what = _first_line(error)
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            message = f"{call.node[1]} ran out of memory, and Ray ended the job for it: {what}"
            self._fail(call, JobFailure(message, NO_MEMORY))
        elif isinstance(error, self._ray.exceptions.TaskCancelledError):
            self._fail(call, JobFailure("The job was cancelled.", CLOSED))
        elif isinstance(error, self._ray.exceptions.RayTaskError):  # before the job began: it cannot be read there
            self._refused(call, f"The job cannot be started there: {what}")
        elif call.attempts < _ATTEMPTS:
            tell_run(call, f"{call.node[1]} was lost ({what}); it runs again.")
            self._send(call)
        else:
            self._fail(call, JobFailure(f"Its worker was lost {call.attempts} times, at last so: {what}", LOST))

    def _refused(self, call: _Call, reason: str) -> None:
        """Ask no more of a node whose packages, code or data are others; without any other node the job has failed."""
        node, host = call.node
        if node not in self._refusals:
            tell_run(call, f"{host} is left out: {reason}")
        self._refusals[node] = reason
        if any(each["Alive"] and each["NodeID"] not in self._refusals for each in self._ray.nodes()):
            self._send(call)
        else:
            self._fail(call, JobFailure(f"No node of the cluster can run it. {host}: {reason}", REFUSED))

    def _fail(self, call: _Call, failure: JobFailure) -> None:
        self._calls.fail(call, failure)
        self._send_next()

    def _send_next(self) -> None:
        with self._calls.changed:
            self._send_waiting()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in error_text(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _join(place: str) -> Any:
    """Import Ray and join a cluster, or start one here; raises UsageError with the remedy."""
    os.environ.update(_ENVIRONMENT)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if place == LOCAL:
            ray.init(include_dashboard=False, **quiet)
        else:
            _require_answer(place)
            ray.init(address=place, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"There is no Ray cluster to join at {place}: {error_text(error)}. Start this machine as a node of it "
            "(`ray start --address=HOST:PORT`; `ray start --head` for the first one), with the same packages."
        ) from None
    return ray


def _require_answer(place: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT, which Ray itself finds out after minutes."""
    if place != AUTO:
        host, _, port = place.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
