"""Requests that arrive together are answered together, by one thread that owns the model.

Nobody waits for a batch to fill unless a window is asked for: while the model works on one batch, the next one gathers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Queued = TypeVar("Queued")
Resolved = TypeVar("Resolved")


class QueueFull(Exception):
    """More requests wait than are allowed to."""


@dataclass(frozen=True)
class BatchLimits:
    """At most `most` requests a batch, for which the first waits `window_s` at most; at most `waiting` may wait."""

    most: int = 8
    window_s: float = 0.0
    waiting: int = 256


@dataclass
class Batcher(Generic[Queued, Resolved]):
    """Answers items in batches on its own thread; `batched` is told the size of each."""

    answer: Callable[[Sequence[Queued]], Sequence[Resolved]]
    limits: BatchLimits
    batched: Callable[[int], object] = lambda size: None
    _queue: queue.SimpleQueue[tuple[Queued, Future[Resolved]] | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _busy: bool = False

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Resolved what waits, and end the thread."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return self._queue.qsize()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is answered now, and nothing waits."""
        return not self._busy and self._queue.empty()

    def submit(self, item: Queued) -> Future[Resolved]:
        """Queue an item; raises QueueFull."""
        if self._queue.qsize() >= self.limits.waiting:
            raise QueueFull
        future: Future[Resolved] = Future()
        self._queue.put((item, future))
        return future

    def _work(self) -> None:
        ending = False
        while not ending:
            batch: list[tuple[Queued, Future[Resolved]]] = []
            ending = self._gather(batch)
            live = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
            if live:
                self._busy = True
                self._answer(live)
                self._busy = False

    def _gather(self, batch: list[tuple[Queued, Future[Resolved]]]) -> bool:
        """Fill a batch; returns whether the end was met."""
        first = self._queue.get()
        if first is None:
            return True
        batch.append(first)
        end = time.monotonic() + self.limits.window_s
        while len(batch) < self.limits.most:
            left = end - time.monotonic()
            try:
                found = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return False
            if found is None:
                return True
            batch.append(found)
        return False

    def _answer(self, batch: Sequence[tuple[Queued, Future[Resolved]]]) -> None:
        """Resolved a batch; where that fails, each item by itself, so that one cannot spoil the others."""
        self.batched(len(batch))
        try:
            answers = self.answer([item for item, _ in batch])
        except Exception as error:  # whatever a model raises is the answer of one request, not the end of the server
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for pair in batch:
                self._answer([pair])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
