"""Cells on their way: devices are kept busy, measured cells come out as they are done, and answers do not pile up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from harness.cell import Cell
from harness.run.cell_queue import CellQueue, Room
from harness.run.executor import Executor, JobRequest
from harness.run.local_executor import Device, LocalExecutor

from .pretended import PretendedServer, pretend_gpus, sleeping


@dataclass
class Sleeper:
    """Makes a cell by three jobs that sleep: trained, answered, and measured alone."""

    executor: Executor
    seconds: float = 0.0
    bound: set[str] = field(default_factory=set)

    def is_ready(self, cell: Cell) -> bool:
        """Whether its model is not among those that wait for something."""
        return cell.training.model not in self.bound

    def make(self, cell: Cell) -> Future[str]:
        """Train, predict, measure."""
        label, seconds = cell.label, self.seconds * len(cell.training.model)
        for job, share in (("train", 0.8), ("predict", 0.1)):
            self._submit(f"{label} {job}", share * seconds).result()
        return self._submit(f"{label} measure", 0.1 * seconds, alone=True)

    def _submit(self, label: str, seconds: float, alone: bool = False) -> Future[str]:
        request = JobRequest(label, lambda *_: None, "cuda", alone)
        return self.executor.submit(sleeping, (seconds, label), request)


def numbered(cell: Cell, count: int) -> list[Cell]:
    """So many cells, told apart by their seeds."""
    return [replace(cell, training=replace(cell.training, seed=seed)) for seed in range(count)]


def named(cell: Cell, model: str) -> Cell:
    """The same cell of another model."""
    return replace(cell, training=replace(cell.training, model=model))


@contextmanager
def queued(
    cells: Sequence[Cell], server: PretendedServer, devices: Sequence[Device], seconds: float = 0.0
) -> Iterator[tuple[LocalExecutor, Iterator[tuple[Cell, Future[str]]]]]:
    """An executor of pretend devices, and the cells as they come out of it."""
    slots = sum(device.places for device in devices)
    with (
        ThreadPoolExecutor(slots) as pool,
        LocalExecutor(server, devices) as executor,
        CellQueue(cells, Sleeper(executor, seconds), Room.of(executor)) as queue,
    ):
        yield executor, queue.made(pool)


def busy_share(cells: Sequence[Cell], seconds: float, devices: int) -> float:
    """Run cells, of `seconds` for each letter of their model, on pretend devices; the share of time that these work."""
    server = PretendedServer()
    started, done = time.perf_counter(), []
    with queued(cells, server, pretend_gpus(devices), seconds) as (executor, made):
        for cell, measured in made:
            with executor.working_here():
                time.sleep(0.002)  # it is scored
            done.append((cell.label, measured.result()))
        taken = time.perf_counter() - started
    assert sorted(done) == sorted((cell.label, f"{cell.label} measure") for cell in cells)
    return server.busy_seconds / (devices * taken)


def test_eight_devices_are_kept_busy_by_a_grid_of_unequal_cells(cell: Cell) -> None:
    grid = [named(each, "a" * letters) for letters in (4, 2, 12, 6, 3, 9, 5, 7, 10, 8) for each in numbered(cell, 6)]
    tries = (busy_share(grid, 0.06, 8) for _ in range(3))  # others on this machine may disturb one
    assert any(share >= 0.95 for share in tries)


def test_first_seeds_come_first_and_then_the_longest(cell: Cell) -> None:
    server = PretendedServer()
    grid = [named(each, model) for model in ("a", "aaa", "aa") for each in numbered(cell, 3)]
    with queued(grid, server, pretend_gpus(1), 0.01) as (_, made):
        done = [(cell.training.model, cell.training.seed) for cell, _ in made]
    assert done == [("a", 0), ("aaa", 0), ("aa", 0), *((m, seed) for m in ("aaa", "aa", "a") for seed in (1, 2))]


def test_a_cell_is_measured_before_its_device_takes_the_next_one(cell: Cell) -> None:
    server = PretendedServer()
    with queued(numbered(cell, 3), server, pretend_gpus(1)) as (_, made):
        assert [cell.training.seed for cell, _ in made] == [0, 1, 2]
    jobs = ("train", "predict", "measure")
    assert [label for label, _ in server.seen] == [f"a-model seed {i} {job}" for i in range(3) for job in jobs]


def test_on_a_machine_measurements_run_alone(cell: Cell) -> None:
    server = PretendedServer()
    with queued(numbered(cell, 12), server, [Device("cpu", 2)], 0.01) as (_, made):
        assert len(list(made)) == 12
    assert all(not others for label, others in server.seen if label.endswith("measure"))
    assert not any(o.endswith("measure") for _, others in server.seen for o in others)


def test_what_waits_for_another_training_lets_others_pass(cell: Cell) -> None:
    cells = [named(cell, model) for model in "abc"]
    with ThreadPoolExecutor(1) as pool, LocalExecutor(PretendedServer(), pretend_gpus(1)) as executor:
        sleeper = Sleeper(executor, bound={"a", "b"})
        with CellQueue(cells, sleeper, Room(1, 9)) as queue:
            assert [cell.training.model for cell, _ in queue.made(pool)] == ["c", "a", "b"]


def test_answers_do_not_pile_up_while_scoring_is_slow(cell: Cell) -> None:
    begun, gate = [], threading.Event()

    class Quick:
        def is_ready(self, cell: Cell) -> bool:
            return True

        def make(self, cell: Cell) -> Future[int]:
            begun.append(cell.training.seed)
            gate.set()
            made: Future[int] = Future()
            made.set_result(cell.training.seed)
            return made

    with ThreadPoolExecutor(2) as pool, CellQueue(numbered(cell, 20), Quick(), Room(2, 3)) as queue:
        for number, _ in enumerate(queue.made(pool), 1):
            time.sleep(0.005)
            assert len(begun) <= number + 2
    assert sorted(begun) == list(range(20))


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt()])
def test_what_goes_wrong_comes_out_with_its_cell(cell: Cell, error: BaseException) -> None:
    class Broken:
        def is_ready(self, cell: Cell) -> bool:
            return True

        def make(self, cell: Cell) -> Future[int]:
            raise error

    with ThreadPoolExecutor(1) as pool, CellQueue(numbered(cell, 2), Broken(), Room(1, 2)) as queue:
        assert [made.exception() for _, made in queue.made(pool)] == [error, error]


def test_leaving_early_ends_the_threads_that_would_take_more(cell: Cell) -> None:
    server = PretendedServer()
    with queued(numbered(cell, 50), server, pretend_gpus(2), 0.01) as (_, made):
        next(made)
    assert len({label.rpartition(" ")[0] for label, _ in server.seen}) <= 5
