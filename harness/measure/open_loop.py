"""Load that does not wait for its answers: each request has a time at which it is due, and leaves then.

A client that sends the next request when the last one is answered slows down with the server, and leaves out just the
requests that would have waited longest ("coordinated omission"). Here times are drawn beforehand and are absolute; a
request's latency counts from when it was *due*, whatever kept it from leaving. How late requests left is told, too: a
generator that cannot keep up measures itself.
"""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ANSWERED, SHED, FAILED, LOST = "answered", "shed", "failed", "lost"
"""What became of a request: answered; turned away as too many (429, 503); answered with another status; no answer."""
_SWITCH_S = 0.0002
"""Threads of Python give way after so long: 5 ms, as usual, would make requests late."""


@dataclass(frozen=True)
class Ending:
    """What became of a request, and why where it was not answered."""

    outcome: str = ANSWERED
    reason: str = ""


@dataclass(frozen=True)
class Sent:
    """One request; seconds since the load began."""

    due: float
    left: float
    done: float
    ending: Ending

    @property
    def latency(self) -> float:
        """From when it was due to its answer."""
        return self.done - self.due

    @property
    def lateness(self) -> float:
        """From when it was due to when it left."""
        return self.left - self.due


Ask = Callable[[int], Ending]
"""Makes the request of a number and waits for its answer; never raises."""


def poisson_times(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw when requests of a Poisson process are due, in seconds from 0: gaps are exponential, mean 1 / `rate`.

    At least one; MLPerf's server scenario (Reddi et al. 2020, arXiv 1911.02549).
    """
    draw, times, now = random.Random(seed), list[float](), 0.0
    while True:
        now += draw.expovariate(rate)
        if now >= seconds and times:
            return times
        times.append(now)


def open_loop(ask: Ask, times: Sequence[float], most_at_once: int = 512) -> list[Sent]:
    """Make each request when it is due, as many at once as that takes; returns them in the order of their times.

    Beyond `most_at_once` requests wait for a thread, which makes them late.
    """
    done: list[Sent | None] = [None] * len(times)
    due: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    threads: list[threading.Thread] = []
    free = threading.Semaphore(0)
    start = time.perf_counter() + 0.05

    def work() -> None:
        while True:
            free.release()
            number = due.get()
            if number is None:
                return
            left = time.perf_counter() - start
            ending = ask(number)
            done[number] = Sent(times[number], left, time.perf_counter() - start, ending)

    def more() -> None:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    with _quick_switches():
        for _ in range(min(8, most_at_once)):
            more()
        for number, at in enumerate(times):
            left = start + at - time.perf_counter()
            if left > 0:
                time.sleep(left)
            if not free.acquire(blocking=False) and len(threads) < most_at_once:
                more()
                free.acquire()
            due.put(number)
        for _ in threads:
            due.put(None)
        for thread in threads:
            thread.join()
    return [each for each in done if each is not None]


def one_after_another(ask: Ask, seconds: float, least: int) -> list[Sent]:
    """Make one request at a time, each due when the one before it is done, for so long and so often at least."""
    return closed_loop(ask, seconds, least, 1)


def closed_loop(ask: Ask, seconds: float, least: int, at_once: int) -> list[Sent]:
    """Keep so many requests on their way for so long, and until there were `least`: what a server can do at most."""
    start, lock, done = time.perf_counter(), threading.Lock(), list[Sent]()
    number = -1

    def work() -> None:
        nonlocal number
        while True:
            with lock:
                if time.perf_counter() - start >= seconds and number + 1 >= least:
                    return
                number += 1
                own = number
            left = time.perf_counter() - start
            ending = ask(own)
            sent = Sent(left, left, time.perf_counter() - start, ending)
            with lock:
                done.append(sent)

    with _quick_switches():
        threads = [threading.Thread(target=work, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sorted(done, key=lambda sent: sent.due)


@contextmanager
def _quick_switches() -> Iterator[None]:
    former = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(former)
