"""A pretended process for each job: it sleeps for as long as it is told, or raises what it is given."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.protocols import Progress
from harness.run.job_server import CLOSED, JobFailure
from harness.run.local_executor import Device


@dataclass
class PretendedServer:
    """Runs "jobs" that sleep, in the calling thread, and notes which ran at the same time and where.

    The arguments of a job are seconds and its label, or what to raise in the label's place.
    """

    busy_seconds: float = 0.0
    seen: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Of each job its label and the labels of those that ran when it began."""
    places: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: set[str] = field(default_factory=set)
    closed: threading.Event = field(default_factory=threading.Event)

    def run(self, job: Any, arguments: Any, progress: Any, environment: Mapping[str, str] | None = None) -> Any:
        """Sleep, and return the label."""
        seconds, label = arguments
        if isinstance(label, BaseException):
            raise label
        with self.lock:
            self.seen.append((label, frozenset(self.running)))
            self.places[label] = (environment or {}).get("CUDA_VISIBLE_DEVICES", "")
            self.running.add(label)
        ended = self.closed.wait(seconds)
        with self.lock:
            self.running.remove(label)
            self.busy_seconds += seconds
        if ended:
            raise JobFailure("The run was interrupted.", CLOSED)
        return label

    def __enter__(self) -> PretendedServer:
        return self

    def __exit__(self, *told: object) -> None:
        self.closed.set()


def sleeping(seconds: float, label: Any, progress: Progress) -> Any:
    """Stand for a job: the server sleeps in its place."""
    raise AssertionError(label)


def pretend_gpus(count: int, places: int = 1) -> list[Device]:
    """GPUs that are not there, each hidden from the jobs of the others."""
    return [Device(f"cuda:{i}", places, {"CUDA_VISIBLE_DEVICES": str(i)}) for i in range(count)]
