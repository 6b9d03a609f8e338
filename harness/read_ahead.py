"""Reads what a loop will need next in threads, while the loop works on what it has; in the loop's own order.

Threads and not processes: decoders of images release the interpreter's lock, and a job may have no child processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from harness.processors import usable_processors

AHEAD_BATCHES = 4
"""Batches that are read ahead of the one in use, at most."""
THREAD_NAME = "read-ahead"
_MOST_THREADS = 32

Key = TypeVar("Key")
Value = TypeVar("Value")


def reading_threads() -> int:
    """Threads that read ahead: one for each processor that this process may use, at most 32."""
    return min(_MOST_THREADS, usable_processors())


@contextmanager
def reading_ahead(
    groups: Iterable[Iterable[Key]], begin: Callable[[Key, Executor], Callable[[], Value]], ahead: int = AHEAD_BATCHES
) -> Iterator[Iterator[Value]]:
    """Give the values of all keys, in order, with those of the next `ahead` keys (1 or more) being read meanwhile.

    `begin` hands the reading of a key to the threads and returns what waits for it; what a thread raised is raised
    there. Keys of a group are known ahead of their use. The next group is asked for only when the loop has done with
    all values before it, so that whoever makes the groups draws at random in the same order as without reading ahead.
    No thread is left when the block ends, however it ends.
    """
    pool = ThreadPoolExecutor(reading_threads(), thread_name_prefix=THREAD_NAME)
    try:
        yield _in_order(groups, lambda key: begin(key, pool), ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def reading_in_threads(keys: Iterable[Key], read: Callable[[Key], Value]) -> Iterator[Iterator[Value]]:
    """Give `read` of each key, in order, a few being read ahead by each thread."""
    ahead = AHEAD_BATCHES * reading_threads()
    with reading_ahead([keys], lambda key, pool: pool.submit(read, key).result, ahead) as values:
        yield values


def _in_order(
    groups: Iterable[Iterable[Key]], begin: Callable[[Key], Callable[[], Value]], ahead: int
) -> Iterator[Value]:
    for group in groups:
        keys = iter(group)
        begun = deque(begin(key) for key in islice(keys, ahead))
        while begun:
            wait = begun.popleft()
            begun.extend(begin(key) for key in islice(keys, 1))
            yield wait()
