"""What a run makes of the ends of cells that other machines were sent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell
from harness.errors import MachineDiffers, StoreError, UsageError
from harness.plan.config import build_config
from harness.plan.run_plan import Environment
from harness.record import RunRecord
from harness.records.store import Store
from harness.run.cells_elsewhere import CellsElsewhere
from harness.run.job_server import CLOSED, REFUSED, JobFailure
from harness.run.whole_cell import CellDone, CellOrder


class Machines:
    """An executor whose jobs end as told, after `leave` has left what a machine would have left in the store."""

    slots, held_back = 1, 0

    def __init__(self, ends: Any, leave: Callable[[Cell], None] = lambda cell: None) -> None:
        self.ends, self.leave, self.orders = ends, leave, []

    def submit(self, job: Any, arguments: tuple[CellOrder], request: Any) -> Future[Any]:
        (order,) = arguments
        self.orders.append(order)
        self.leave(order.cell)
        future: Future[Any] = Future()
        if isinstance(self.ends, Exception):
            future.set_exception(self.ends)
        else:
            future.set_result(self.ends)
        return future

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *told: object) -> None:
        pass


@pytest.fixture
def elsewhere(tmp_path: Path) -> CellsElsewhere:
    reporter: Any = SimpleNamespace(said=[], finished=[])
    reporter.say, reporter.finish = reporter.said.append, reporter.finished.append
    config = build_config({"task": "coco-caption", "results": str(tmp_path / "results")}, task="coco-caption")
    here = Environment(tmp_path, tmp_path / "cache")
    return CellsElsewhere(config, SimpleNamespace(), Store(config.request.results), here, reporter, 0.5)  # type: ignore[arg-type]


@pytest.fixture
def leave(elsewhere: CellsElsewhere, record: Callable[..., RunRecord]) -> Callable[[Cell], None]:
    """Leave a finished record of a cell, as its machine does."""

    def made(cell: Cell) -> None:
        done = record("a-model", 0.5)
        elsewhere.store.write_record(replace(done, fingerprint=cell.fingerprint, task=cell.training.task))

    return made


def test_the_records_that_machines_leave_are_told(
    elsewhere: CellsElsewhere, cell: Cell, leave: Callable[[Cell], None]
) -> None:
    machines = Machines(CellDone(found=True, conflict=False), leave)
    ran = elsewhere.run([cell], machines)
    assert ([r.status for r in ran.records], ran.found, ran.conflicts) == (["ok"], 1, 0)
    assert elsewhere.reporter.finished == list(ran.records)  # type: ignore[attr-defined]
    (order,) = machines.orders
    assert (order.cell, order.gpu_part, order.store_identity) == (cell, 0.5, elsewhere.store.identity())
    assert Path(order.store).is_absolute()


def test_a_cell_that_its_machine_could_not_finish_leaves_a_failed_record_with_the_reason(
    elsewhere: CellsElsewhere, cell: Cell
) -> None:
    ran = elsewhere.run([cell], Machines(JobFailure("node3 ran out of memory", "OutOfMemory")))
    assert [(r.status, r.error) for r in ran.records] == [("failed", "node3 ran out of memory")]
    assert elsewhere.store.find_record(cell.training.task, cell.fingerprint) == ran.records[0]


def test_a_finished_record_stands_whatever_became_of_its_machine(
    elsewhere: CellsElsewhere, cell: Cell, leave: Callable[[Cell], None]
) -> None:
    ran = elsewhere.run([cell], Machines(JobFailure("lost", "lost"), leave))
    assert [r.status for r in ran.records] == ["ok"]


def test_where_every_machine_refuses_the_run_ends_with_the_difference_and_no_record(
    elsewhere: CellsElsewhere, cell: Cell
) -> None:
    with pytest.raises(MachineDiffers, match="torch is 1 here"):
        elsewhere.run([cell], Machines(JobFailure("torch is 1 here and 2 in the run", REFUSED)))
    assert elsewhere.store.find_record(cell.training.task, cell.fingerprint) is None


def test_a_run_that_is_ended_leaves_no_failed_records(elsewhere: CellsElsewhere, cell: Cell) -> None:
    with pytest.raises(JobFailure):
        elsewhere.run([cell], Machines(JobFailure("The run has ended.", CLOSED)))
    assert elsewhere.store.find_record(cell.training.task, cell.fingerprint) is None


def test_a_machine_that_says_done_and_left_nothing_is_not_believed(elsewhere: CellsElsewhere, cell: Cell) -> None:
    with pytest.raises(StoreError, match="has no record of it"):
        elsewhere.run([cell], Machines(CellDone(found=False, conflict=False)))


@pytest.mark.parametrize("url", ["sftp://host/results", "http://host/results", "memory://results"])
def test_a_folder_for_one_writer_is_refused(elsewhere: CellsElsewhere, cell: Cell, url: str) -> None:
    with pytest.raises(UsageError, match="takes one writer at a time"):
        replace(elsewhere, store=Store(url)).run([cell], Machines(None))
