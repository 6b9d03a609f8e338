"""Runs jobs on this machine: one queue for all of its devices, each job on the first that has room.

A measurement has a device to itself: one that takes several jobs at once is emptied for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Condition
from types import TracebackType
from typing import Any, Protocol, Self

from harness.protocols import NOTICE, Progress
from harness.run.executor import JobRequest
from harness.run.job_server import CLOSED, LOST_DEVICE, Arguments, JobFailure, Result

_CELLS_A_PAUSE = 2
"""A device of several places is emptied once this many times as many wait to be measured, or nothing else is to do."""


@dataclass(frozen=True)
class Device:
    """A device of this machine: how many jobs it takes at once, and what their environment says of it."""

    name: str
    places: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


class RunsJob(Protocol):
    """Runs one job in a process of its own and waits for it; a context manager, such as a JobServer."""

    def run(
        self,
        job: Callable[[*Arguments, Progress], Result],
        arguments: tuple[*Arguments],
        progress: Progress,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Return the job's result, or raise JobFailure."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A job that waits for a device."""

    run: Callable[[Device], Any]
    future: Future[Any]
    request: JobRequest
    number: int

    @property
    def alone(self) -> bool:
        """Whether it is measured."""
        return self.request.alone

    @property
    def rank(self) -> tuple[int, int]:
        """The lowest comes first."""
        return self.request.order, self.number


class LocalExecutor:
    """One queue of jobs for a list of devices; use as a context manager."""

    def __init__(
        self,
        server: RunsJob,
        devices: Sequence[Device],
        why_unusable: Callable[[Device], str | None] = lambda device: None,
    ) -> None:
        """Take in what runs a single job, and the devices; raises ValueError where these take no job at all.

        `why_unusable` tries a device on which a job has met an error of CUDA. One that cannot be used takes no further
        job, as long as there are others, and what failed there is run on one of these: a broken GPU, which fails at
        once, would else take job after job from the queue.
        """
        self._why_unusable = why_unusable
        self._devices = tuple(device for device in devices if device.places)
        if not self._devices:
            raise ValueError("an executor needs a device with a place for a job")
        self._server = server
        self._changed = Condition()
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        self._running = {device.name: 0 for device in self._devices}
        self._alone: set[str] = set()
        self._at_work_here = 0
        self._pausing = False
        self._closed = False
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="job")

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return sum(device.places for device in self._devices)

    @property
    def held_back(self) -> int:
        """How many measurements wait for one another: none where each device takes one job at a time."""
        places = max(device.places for device in self._devices)
        return 0 if places == 1 else _CELLS_A_PAUSE * places

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for job in waiting:
            job.future.set_exception(JobFailure("The run has ended.", CLOSED))
        self._server.__exit__(kind, error, trace)
        self._threads.shutdown()

    def submit(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        """Queue a job; see `harness.run.executor.Executor`."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()  # it is ended by closing alone

        def run(device: Device) -> Result:
            return self._server.run(job, arguments, request.progress, device.environment)

        self._queue(_Waiting(run, future, request, next(self._numbers)))
        return future

    @contextmanager
    def working_here(self) -> Iterator[None]:
        """Wrap what this process computes: of one device, a measurement has all of the machine."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._is_measured_alone())
            self._at_work_here += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work_here -= 1
                self._start_what_can()

    def _is_measured_alone(self) -> bool:
        return len(self._devices) == 1 and bool(self._alone)

    def _queue(self, job: _Waiting) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._start_what_can()
                return
        job.future.set_exception(JobFailure("The run has ended.", CLOSED))

    def _run(self, job: _Waiting, device: Device) -> None:
        try:
            result = job.run(device)
        except BaseException as error:  # whatever it is, somebody waits for it
            is_given_up = self._is_given_up(device, error, job.request.progress)
            self._leave(device)
            if is_given_up:
                self._queue(job)
            else:
                job.future.set_exception(error)
        else:
            self._leave(device)
            job.future.set_result(result)

    def _is_given_up(self, device: Device, error: BaseException, say: Progress) -> bool:
        """Whether a device takes no further job, by what a job met there; there is always one that does."""
        if not isinstance(error, JobFailure) or not (error.kind == LOST_DEVICE or "CUDA" in error.message):
            return False
        if len(self._devices) == 1:
            return False
        reason = self._why_unusable(device)
        with self._changed:
            left = tuple(other for other in self._devices if other is not device)
            if reason is None or not left:
                return False
            if device in self._devices:
                say(f"{reason} It takes no further job; what failed there is run on another.", 0, NOTICE)
            self._devices = left
        return True

    def _leave(self, device: Device) -> None:
        with self._changed:
            self._running[device.name] -= 1
            self._alone.discard(device.name)
            self._changed.notify_all()
            if not self._closed:
                self._start_what_can()

    def _start_what_can(self) -> None:
        """Start measurements on devices that are empty, empty others for them, and fill what is left."""
        emptied = self._start_measurements()
        shared = sorted((job for job in self._waiting if not job.alone), key=lambda job: job.rank)
        for job in shared:
            free = [
                device
                for device in self._devices
                if device.name not in self._alone
                and device.name not in emptied
                and self._running[device.name] < device.places
            ]
            if not free:
                return
            self._start(job, min(free, key=lambda device: self._running[device.name] / device.places))

    def _start_measurements(self) -> set[str]:
        """Start those that can; returns the names of the devices that are to take nothing until one starts there."""
        waiting = sorted((job for job in self._waiting if job.alone), key=lambda job: job.rank)
        self._pausing = bool(waiting) and (self._pausing or self._is_time_to_pause(len(waiting)))
        if not self._pausing:
            return set()
        open_ones = [device for device in self._devices if device.name not in self._alone]
        chosen = sorted(open_ones, key=lambda device: self._running[device.name])[: len(waiting)]
        for device in chosen:
            if not self._running[device.name] and not (self._at_work_here and len(self._devices) == 1):
                self._start(waiting.pop(0), device)
        return {device.name for device in chosen}

    def _is_time_to_pause(self, waiting: int) -> bool:
        """Whether enough wait to be measured, or there is nothing else to do."""
        idle = not any(self._running.values()) and all(job.alone for job in self._waiting)
        return idle or waiting >= self.held_back

    def _start(self, job: _Waiting, device: Device) -> None:
        self._waiting.remove(job)
        self._running[device.name] += 1
        if job.alone:
            self._alone.add(device.name)
        self._threads.submit(self._run, job, device)
