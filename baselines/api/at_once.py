"""Works on many things at once, in threads that a block owns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Given = TypeVar("Given")
Gained = TypeVar("Gained")


@contextmanager
def working_at_once(
    work: Callable[[Given], Gained], workers: int, give_up: Callable[[], None]
) -> Iterator[Callable[[Sequence[Given]], Callable[[], list[Gained]]]]:
    """Give what begins `work` on items by so many threads, and returns what waits for their results, in order.

    Leaving the block by an exception ends it: nothing further is begun, and `give_up` tells what is at work not to
    wait.
    """
    pool = ThreadPoolExecutor(workers)

    def begin(items: Sequence[Given]) -> Callable[[], list[Gained]]:
        begun = [pool.submit(work, item) for item in items]
        return lambda: [future.result() for future in begun]

    try:
        yield begin
    except BaseException:
        give_up()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
