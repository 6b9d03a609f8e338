"""Works on many things at once and gives the results in order, a bounded number of them ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Given = TypeVar("Given")
Gained = TypeVar("Gained")


def worked_in_order(
    items: Iterable[Given], work: Callable[[Given], Gained], workers: int, ahead: int, give_up: Callable[[], None]
) -> Iterator[Gained]:
    """Give what `work` makes of each item, in order, by so many threads; at most `ahead` items are taken before.

    What `work` raises ends it: nothing further is begun, and `give_up` tells what is at work not to wait.
    """
    rest = iter(items)
    pool = ThreadPoolExecutor(workers)
    begun: deque[Future[Gained]] = deque()
    try:
        begun.extend(pool.submit(work, item) for item in islice(rest, ahead))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(rest, 1))
            yield result
    except BaseException:
        give_up()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
