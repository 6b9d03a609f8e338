"""Rows of tables from what results folders hold: what the command line draws and `harness.api` gives as frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.collector import collection_paused
from harness.judge.judged_leaderboard import judged_tables
from harness.judge.leaderboard import Row
from harness.judge.robustness.reference_table import find_reference
from harness.judge.robustness.remedies import with_gains
from harness.judge.robustness.row import RobustnessRow
from harness.judge.robustness.summary import summaries
from harness.judge.table_memory import TableMemory
from harness.judge.verdict.judge import installed_fusion, score_reader
from harness.plan.plugins import INTERNAL_TASKS, load_all, load_task, task_names
from harness.record import RobustnessRecord, RunRecord
from harness.records.conflicts import in_conflict
from harness.records.store import Store


def tasks_with_records(results: Sequence[str]) -> tuple[list[str], list[str]]:
    """Name the installed tasks that have records in one of the folders, and tasks with records that are not installed.

    Nobody can say what ranks the latter.
    """
    stored, known = {name for url in results for name in Store(url).tasks()}, task_names()
    return [name for name in known if name in stored], sorted(stored - set(known) - INTERNAL_TASKS)


@dataclass(frozen=True)
class TaskRecords:
    """What a results folder holds of a task, read once."""

    task: str
    store: Store
    records: Sequence[RunRecord]
    sweeps: Sequence[RobustnessRecord]

    @staticmethod
    def read(task: str, store: Store) -> TaskRecords:
        """Read all records and robustness records of the task."""
        return TaskRecords(task, store, store.read_records(task), store.read_robustness(task))


def leaderboard_rows(
    task: str, store: Store, shows: Callable[[RunRecord], bool] | None = None, *, every_code: bool = False
) -> list[list[Row]]:
    """Make the tables of a task from its records, or from those that `shows` takes; `every_code`: older code's too."""
    return rows_of(TaskRecords.read(task, store), shows, every_code=every_code)


@collection_paused()
def rows_of(
    stored: TaskRecords, shows: Callable[[RunRecord], bool] | None = None, *, every_code: bool = False
) -> list[list[Row]]:
    """Make the tables of what was read, as `leaderboard_rows`."""
    task, store, sweeps = stored.task, stored.store, stored.sweeps
    records = [record for record in stored.records if shows is None or shows(record)]
    metrics, fusion = load_task(task).metrics, installed_fusion(task)
    read = score_reader([store], known={store: (*records, *sweeps)})
    conflicts = in_conflict(store, task)
    memory = TableMemory.of(store, records, sweeps, metrics, fusion)
    return judged_tables(
        records, metrics, fusion, read, sweeps, every_code=every_code, conflicts=conflicts, memory=memory
    )


def robustness_rows(task: str, store: Store, reference: str | None = None) -> list[RobustnessRow]:
    """Sum up how a task's models do under perturbation; `reference` is a model, a table of one (file), or alexnet."""
    load_task(task)
    records, runs = store.read_robustness(task), store.read_records(task)
    table = None if reference is None else find_reference(reference, records)
    rows = summaries(records, runs, table, unfused_models())
    return with_gains(rows, runs, score_reader([store], known={store: (*records, *runs)}))


def unfused_models() -> tuple[str, ...]:
    """Name the installed models that fuse nothing."""
    return tuple(model.name for model in load_all("models")[0] if not model.fused)
