"""Shares work among copies of this process: what calls NumPy for small pieces keeps other threads waiting."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from harness.errors import StoreError

MOST_PROCESSES = 4
"""Each holds a block of resamples, and what metrics make of it."""
_NUMBER = 4  # bytes of the number of a task
_HELD = 65_536  # bytes that a pipe of Linux holds
Result = TypeVar("Result")


def shared_out(tasks: Sequence[Callable[[], Result]], processes: int) -> list[Result]:
    """Do tasks in so many processes, each taking the next one when it is free; the results are in the tasks' order.

    Each process takes tasks in ascending order. The others are forked from this one, so that a task may use whatever
    is in memory; what it changes there is lost. Where there is no Linux, and of one process, all is done here. Raises
    what a task raises, and StoreError where a process was killed.
    """
    processes = min(processes, len(tasks), MOST_PROCESSES)
    if processes < 2 or len(tasks) * _NUMBER > _HELD or sys.platform != "linux":
        return [task() for task in tasks]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    queue = _queue(len(tasks))
    found: dict[int, Result] = {}
    children: list[tuple[int, int]] = []
    try:
        # Else each would have BLAS use all processors, and its threads wait for those of the others without pause.
        with threadpool_limits(1, "blas"):
            children += (_forked(tasks, queue) for _ in range(processes - 1))
            _work(tasks, queue, found)
        while children:
            found |= _told_by(*children.pop())
    finally:
        os.close(queue)
        for process, pipe in children:
            os.close(pipe)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return [found[number] for number in range(len(tasks))]


def _queue(count: int) -> int:
    """A pipe that holds the numbers of all tasks, from which each process reads."""
    reading, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(_NUMBER) for number in range(count)))
    os.close(writing)
    return reading


def _work(tasks: Sequence[Callable[[], Result]], queue: int, found: dict[int, Result]) -> None:
    while number := os.read(queue, _NUMBER):
        place = int.from_bytes(number)
        found[place] = tasks[place]()


def _forked(tasks: Sequence[Callable[[], Any]], queue: int) -> tuple[int, int]:
    """Start a copy of this process; its number, and the pipe on which it tells results or the error that it met."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, none of which does anything here
        process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    with suppress(BaseException):  # the parent sees that nothing came
        found: dict[int, Any] = {}
        told: dict[int, Any] | Exception = found
        try:
            _work(tasks, queue, found)
        except Exception as error:
            told = error
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(told, pipe, pickle.HIGHEST_PROTOCOL)
    os._exit(0)  # and nothing of the parent's is ended or written twice


def _told_by(process: int, pipe: int) -> dict[int, Any]:
    with os.fdopen(pipe, "rb") as file:
        content = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status or not content:
        raise StoreError(
            f"A process that scores resamples has ended without a word (status {status}), which is mostly for lack of "
            "memory. Use fewer processors (taskset -c 0 bench score …) or fewer --resamples."
        )
    told: dict[int, Any] | Exception = pickle.loads(content)
    if isinstance(told, Exception):
        raise told
    return told
