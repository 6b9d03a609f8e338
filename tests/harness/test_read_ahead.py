"""What is read ahead comes in order, as late as random draws ask for it, and leaves no thread behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import chain

import pytest

from harness.read_ahead import THREAD_NAME, reading_ahead, reading_threads


def threads_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def slow_square(key: int, pool: Executor) -> Callable[[], int]:
    def read() -> int:
        time.sleep(0.002 * (key % 3))  # later keys are often ready first
        return key * key

    return pool.submit(read).result


def test_values_come_in_order_and_no_thread_is_left() -> None:
    with reading_ahead([range(7), range(7, 9), [], [20]], slow_square) as values:
        assert list(values) == [key * key for key in (*range(9), 20)]
        assert threads_left()
    assert not threads_left()


def test_so_many_are_begun_ahead_and_no_more() -> None:
    begun: list[int] = []

    def begin(key: int, pool: Executor) -> Callable[[], int]:
        begun.append(key)
        return slow_square(key, pool)

    with reading_ahead([range(10)], begin, ahead=3) as values:
        assert next(values) == 0
        assert begun == [0, 1, 2, 3]
        assert next(values) == 1
        assert begun == [0, 1, 2, 3, 4]


def test_a_group_is_drawn_only_when_what_came_before_is_done() -> None:
    told: list[str] = []

    def groups() -> Iterator[list[int]]:
        for start in (0, 2):
            told.append(f"draw {start}")
            yield [start, start + 1]

    with reading_ahead(groups(), slow_square) as values:
        told.extend(f"use {value}" for value in values)
    assert told == ["draw 0", "use 0", "use 1", "draw 2", "use 4", "use 9"]


def test_what_a_thread_raises_reaches_the_loop_at_its_place() -> None:
    def begin(key: int, pool: Executor) -> Callable[[], int]:
        return pool.submit(lambda: 12 // (3 - key)).result

    seen = []
    with pytest.raises(ZeroDivisionError), reading_ahead([range(9)], begin) as values:
        seen.extend(chain(values))
    assert not threads_left()
    with reading_ahead([range(9)], begin) as values:
        assert [next(values) for _ in range(3)] == [4, 6, 12]
    assert not threads_left()


def test_a_loop_that_fails_leaves_no_thread() -> None:
    with pytest.raises(KeyError), reading_ahead([range(100)], slow_square) as values:
        for value in values:
            raise KeyError(value)
    assert not threads_left()


def test_threads_are_bounded() -> None:
    assert 1 <= reading_threads() <= 32
