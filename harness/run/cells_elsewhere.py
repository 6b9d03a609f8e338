"""Runs the cells that have no current record on other machines: each is sent whole, and its record is read back.

There is no state to lose: what is pending is what the plan has and the store has not, so a run that was killed is run
again, and several runs may share one store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from contextlib import suppress
from dataclasses import dataclass

from harness.cell import Cell
from harness.errors import MachineDiffers, StoreError, UsageError
from harness.measure.provenance import PACKAGES, package_versions
from harness.plan.config import RunConfig
from harness.plan.run_plan import Environment, Plan
from harness.protocols import Progress
from harness.record import RunRecord
from harness.records.store import Store
from harness.run.choose_executor import open_executor, takes_whole_cells, workload_of
from harness.run.executor import Executor, JobRequest
from harness.run.executor_address import ExecutorAddress
from harness.run.job_server import CLOSED, REFUSED, JobFailure, Result, Workers
from harness.run.reporter import Reporter
from harness.run.runner import Ran, RunSummary, failed_record, run_missing, run_plan
from harness.run.whole_cell import CellDone, CellOrder, run_whole_cell


def run_cells(
    config: RunConfig, plan: Plan, store: Store, environment: Environment, reporter: Reporter, workers: Workers
) -> RunSummary:
    """Run what a plan is missing, here or where the workers' executor sends whole cells; see `run_plan`.

    `config` is what the plan was made of.
    """
    if not takes_whole_cells(workers.executor):
        return run_plan(plan, store, environment, reporter, workers)
    part = ExecutorAddress.parse(workers.executor).gpu_part
    elsewhere = CellsElsewhere(config, plan, store, environment, reporter, part)
    return run_missing(
        plan, store, reporter, lambda pending: elsewhere.run(pending, open_executor(workload_of(plan), workers))
    )


@dataclass(frozen=True)
class CellsElsewhere:
    """Sends cells of one run to an executor of other machines, and tells their ends."""

    config: RunConfig
    plan: Plan
    store: Store
    environment: Environment
    reporter: Reporter
    gpu_part: float = 1.0

    def run(self, pending: Sequence[Cell], executor: Executor) -> Ran:
        """Have cells run; each has a record afterwards, or an exception says why not.

        Raises UsageError for a results folder that takes one writer only, MachineDiffers where no machine can run a
        cell as this one would.
        """
        self.require_several_writers()
        records, found, conflicts = [], 0, 0
        with executor:
            sent = {self.submit(run_whole_cell, cell, executor): cell for cell in pending}
            for future in as_completed(sent):
                cell = sent[future]
                done = self._done(cell, future)
                found, conflicts = found + done.found, conflicts + done.conflict
                records.append(self._record(cell))
                self.reporter.finish(records[-1])
        return Ran(records, found, conflicts)

    def require_several_writers(self) -> None:
        """Raise UsageError for a results folder that takes one writer only."""
        if not self.store.takes_several_writers:
            raise UsageError(
                f"--results {self.store.url} takes one writer at a time, and other machines would be several. Give a "
                "folder that all of them share, or an s3:// or gs:// URL."
            )

    def submit(self, job: Callable[[CellOrder, Progress], Result], cell: Cell, executor: Executor) -> Future[Result]:
        """Send a cell to where `job` is called with its order."""

        def progress(what: str, done: int, total: int) -> None:
            self.reporter.progress(what, done, total)

        local = self.store.local
        order = CellOrder(
            config=self.config,
            cell=cell,
            environment=self.environment,
            store=self.store.url if local is None else str(local.resolve()),
            store_identity=self.store.identity(),
            versions=package_versions(PACKAGES),
            gpu_part=self.gpu_part,
        )
        return executor.submit(job, (order,), JobRequest(cell.label, progress, cell.training.device))

    def _done(self, cell: Cell, future: Future[CellDone]) -> CellDone:
        """Wait for a cell; one that its machine could not finish leaves a failed record, unless it left its own."""
        try:
            return future.result()
        except JobFailure as failure:
            if failure.kind == CLOSED:
                raise
            if failure.kind == REFUSED:
                raise MachineDiffers(failure.message) from None
            with suppress(StoreError):  # another run has finished it meanwhile
                self.store.write_record(failed_record(self.store, self.reporter, cell, failure))
            return CellDone(found=False, conflict=False)

    def _record(self, cell: Cell) -> RunRecord:
        record = self.store.find_record(cell.training.task, cell.fingerprint)
        if record is None:
            raise StoreError(f"{cell.label} has run, and {self.store.url} has no record of it. Run again.")
        return record
