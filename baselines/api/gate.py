"""How many requests are on their way at once: more while they succeed, half as many when the server says it is enough.

Doubles at first, as TCP does (Jacobson 1988, doi 10.1145/52325.52356), and adds one a round after the first refusal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Condition, Event

_FIRST = 4
_LOOKS_S = 0.5
"""So often who waits for the end of a pause looks whether it is still to be waited for."""


class AdaptiveGate:
    """Lets so many through at once as the server takes, `most` at most; safe to use from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(most, _FIRST))
        self._inside = 0
        self._doubling = True
        self._lowered = self._closed_until = -1.0
        self._changed = Condition()
        self._since = time.monotonic()
        self._area = self._busy_s = 0.0
        self.halvings = 0

    @contextmanager
    def passing(self, given_up: Event | None = None) -> Iterator[float]:
        """Wait for a place and hold it; gives the time of entry. Once `given_up` is set nobody waits."""
        with self._changed:
            while (pause := self._closed_until - time.monotonic()) > 0 or self._inside >= int(self._limit):
                if given_up is not None and given_up.is_set():
                    break
                self._changed.wait(min(max(pause, 0.01), _LOOKS_S) if pause > 0 else None)
            self._moved(1)
        try:
            yield time.monotonic()
        finally:
            with self._changed:
                self._moved(-1)
                self._changed.notify()

    def succeeded(self) -> None:
        """Take note of an answer."""
        with self._changed:
            self._limit = min(float(self._most), self._limit + (1.0 if self._doubling else 1.0 / self._limit))
            self._changed.notify()

    def refused(self, entered: float, pause_s: float = 0.0) -> None:
        """Take note of a request, sent at `entered`, that the server had no room for; nobody passes for `pause_s`.

        Those that were sent before the last halving say nothing new.
        """
        with self._changed:
            self._closed_until = max(self._closed_until, time.monotonic() + pause_s)
            if entered > self._lowered:
                self._limit, self._doubling = max(1.0, self._limit / 2), False
                self._lowered = time.monotonic()
                self.halvings += 1

    def forget_times(self) -> None:
        """Begin anew to count how many are on their way."""
        with self._changed:
            self._moved(0)
            self._area = self._busy_s = 0.0
            self.halvings = 0

    @property
    def mean_inside(self) -> float:
        """How many were on their way at once, on average over the time in which any was."""
        with self._changed:
            self._moved(0)
            return self._area / self._busy_s if self._busy_s > 0 else 0.0

    @property
    def busy_s(self) -> float:
        """Seconds in which any request was on its way."""
        with self._changed:
            self._moved(0)
            return self._busy_s

    def _moved(self, step: int) -> None:
        now = time.monotonic()
        self._area += self._inside * (now - self._since)
        self._busy_s += (now - self._since) * (self._inside > 0)
        self._since = now
        self._inside += step


@lru_cache(maxsize=64)
def shared_gate(url: str, most: int) -> AdaptiveGate:
    """Give all models of a process that ask one endpoint the same gate: together they ask no more at once."""
    return AdaptiveGate(most)
