"""Cells on their way through a run: as many are at work as there are slots, and they come out as they are done.

There is no barrier: whoever is done with one cell takes the next, while the caller scores what has come out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from harness.cell import Cell
from harness.run.executor import Executor

_OTHERS_SECONDS = 1.0
"""So often it is asked whether other runs are done with what is left."""

Made = TypeVar("Made")


class Maker(Protocol[Made]):
    """Makes what is scored of a cell."""

    def is_ready(self, cell: Cell) -> bool:
        """Whether it could be made without waiting for another training."""
        ...

    def make(self, cell: Cell) -> Future[Made]:
        """Train it and have it answer, which takes this thread; what comes after that is waited for by the future."""
        ...


@dataclass(frozen=True)
class Room:
    """How many cells are made at once, and how many are `begun` and not scored at most: their answers fill memory."""

    at_work: int
    begun: int

    @classmethod
    def of(cls, executor: Executor) -> Room:
        """Keep an executor's slots filled while as many others are scored, and some are held back to be measured."""
        return cls(executor.slots, 2 * executor.slots + executor.held_back)


class CellQueue(AbstractContextManager["CellQueue[Made]"], Generic[Made]):
    """Gives cells to the threads of a pool; leaving the context keeps them from taking further ones."""

    def __init__(
        self,
        cells: Sequence[Cell],
        maker: Maker[Made],
        room: Room,
        take: Callable[[Cell], bool] = lambda cell: True,
    ) -> None:
        """`take` claims a cell before it is made; one that another run is at is asked for again until it can be had."""
        self._left = list(cells)
        self._count = len(cells)
        self._maker, self._room, self._take = maker, room, take
        self._made: SimpleQueue[tuple[Cell, Future[Made]]] = SimpleQueue()
        self._begun = 0
        self._seconds: dict[tuple[str, str | None], float] = {}
        """How long the last cell of a row took; for ever where it is still being made."""
        self._changed = Condition()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._left.clear()
            self._changed.notify_all()

    def made(self, pool: ThreadPoolExecutor) -> Iterator[tuple[Cell, Future[Made]]]:
        """Go through all cells in the order in which they are done, each with its result or what went wrong.

        A cell counts as scored when the next one is asked for.
        """
        for _ in range(min(self._room.at_work, self._count)):
            pool.submit(self._work)
        for _ in range(self._count):
            yield self._made.get()
            with self._changed:
                self._begun -= 1
                self._changed.notify_all()

    def _work(self) -> None:
        while (cell := self._next()) is not None:
            started = time.monotonic()
            made = _caught(self._maker.make, cell)
            with self._changed:
                self._seconds[_row(cell)] = time.monotonic() - started
            self._give_out(cell, made)

    def _next(self) -> Cell | None:
        """Take the cell that comes first by `_rank` of those that no other run is at; None when none is left."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: not self._left or self._begun < self._room.begun)
                if not self._left:
                    return None
                for cell in sorted(self._left, key=self._rank):
                    if self._take(cell):
                        self._begun += 1
                        self._left.remove(cell)
                        self._seconds.setdefault(_row(cell), math.inf)
                        return cell
                self._changed.wait(_OTHERS_SECONDS)

    def _rank(self, cell: Cell) -> tuple[bool, bool, float]:
        """Order cells: what need not wait for another training, then a row's first seed, then the longest.

        At the end of a run the devices that are done wait for the others: less where the last cells are short (Graham
        1969, doi 10.1137/0117039).
        """
        row = _row(cell)
        return not self._maker.is_ready(cell), row in self._seconds, -self._seconds.get(row, math.inf)

    def _give_out(self, cell: Cell, made: Future[Made]) -> None:
        made.add_done_callback(lambda done: self._made.put((cell, done)))


def _row(cell: Cell) -> tuple[str, str | None]:
    return cell.model, cell.training.control


def _caught(make: Callable[[Cell], Future[Made]], cell: Cell) -> Future[Made]:
    """Whatever goes wrong goes to whoever scores the cell."""
    try:
        return make(cell)
    except BaseException as error:
        failed: Future[Made] = Future()
        failed.set_exception(error)
        return failed
