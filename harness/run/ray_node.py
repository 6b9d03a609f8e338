"""The part of a cluster's run that a worker of Ray executes: it calls one job and sends back what it reports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from harness.protocols import NOTICE
from harness.run.reported import RESULT, Reported, failure_of

NODE, PROGRESS = "node", "progress"
"""Kinds of report: the first says where the job runs, the last one how it ended."""
_REPORT_SECONDS = 1.0
"""Progress is sent so often at most; what must be read is sent at once."""


def report_job(job: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Reported]:
    """Call `job(*arguments, progress)` and yield its reports; the last one is a result or a failure."""
    import ray

    yield NODE, (ray.get_runtime_context().get_node_id(), socket.gethostname())
    reports: SimpleQueue[Reported] = SimpleQueue()
    threading.Thread(target=_call, args=(job, arguments, reports), daemon=True).start()
    sent = 0.0
    while True:
        kind, told = reports.get()
        if kind == PROGRESS and told[2] != NOTICE:
            if time.monotonic() - sent < _REPORT_SECONDS:
                continue
            sent = time.monotonic()
        yield kind, told
        if kind != PROGRESS:
            return


def _call(job: Callable[..., Any], arguments: tuple[Any, ...], reports: SimpleQueue[Reported]) -> None:
    def progress(what: str, done: int, total: int) -> None:
        reports.put((PROGRESS, (what, done, total)))

    try:
        reports.put((RESULT, job(*arguments, progress)))
    except BaseException as error:  # somebody waits for the last report
        reports.put(failure_of(error))
