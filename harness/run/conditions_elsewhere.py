"""Runs the conditions that trained models have no current score for where cells run.

A model goes with all that it lacks. Its checkpoint is in the results folder, which all machines share; each perturbs
and scores there, and puts what it has made into the model's robustness record.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass

from harness.errors import BenchError, MachineDiffers, UsageError
from harness.plan.conditions import RobustnessPlan, plan_robustness
from harness.plan.config import RunConfig
from harness.plan.run_plan import Environment, Plan
from harness.protocols import Progress
from harness.records.store import Store
from harness.run.cells_elsewhere import CellsElsewhere
from harness.run.choose_executor import open_executor, takes_whole_cells, workload_of
from harness.run.executor import Executor
from harness.run.executor_address import ExecutorAddress
from harness.run.job_server import CLOSED, REFUSED, JobFailure, Workers
from harness.run.lacking import Lacking
from harness.run.reporter import Reporter
from harness.run.robustness_runner import RobustnessRun, RobustnessSummary, run_robustness
from harness.run.whole_cell import CellOrder, Relayed, planned_here, require_same_store, workers_of_order


def run_conditions(
    config: RunConfig,
    plan: Plan,
    sweep: RobustnessPlan,
    store: Store,
    environment: Environment,
    reporter: Reporter,
    workers: Workers,
) -> RobustnessSummary:
    """Give each trained model of a plan a score, a reason or an error under each condition, where its cells run.

    `config` is what the plan was made of.
    """
    if not takes_whole_cells(workers.executor):
        return run_robustness(plan, sweep, store, environment, reporter, workers)
    part = ExecutorAddress.parse(workers.executor).gpu_part
    sender = CellsElsewhere(config, plan, store, environment, reporter, part)
    executor = open_executor(workload_of(plan), workers)
    run = RobustnessRun(plan, sweep, store, environment, reporter)
    return run.run_by(lambda pending: ConditionsElsewhere(sender).run(pending, executor))


@dataclass(frozen=True)
class ConditionsElsewhere:
    """Sends models and what they lack to an executor of other machines."""

    sender: CellsElsewhere

    def run(self, pending: Sequence[Lacking], executor: Executor) -> int:
        """Have all conditions run; returns how many could not be, which is said. They are pending in the next run.

        Raises UsageError for a results folder that takes one writer only, MachineDiffers where no machine can run a
        condition as this one would.
        """
        self.sender.require_several_writers()
        lost = 0
        with executor:
            sent = {self.sender.submit(perturb_whole_cell, lacking.cell, executor): lacking for lacking in pending}
            for future in as_completed(sent):
                lost += self._lost(sent[future], future)
        return lost

    def _lost(self, lacking: Lacking, future: Future[None]) -> int:
        try:
            future.result()
            return 0
        except JobFailure as failure:
            if failure.kind == CLOSED:
                raise
            if failure.kind == REFUSED:
                raise MachineDiffers(failure.message) from None
            what = f"{len(lacking.conditions)} conditions could not be run: {failure.message}"
            self.sender.reporter.say(f"{lacking.cell.label}: {what}")
            return len(lacking.conditions)


def perturb_whole_cell(order: CellOrder, progress: Progress) -> None:
    """Run what the model of an order's cell lacks, and put it into its robustness record.

    Raises MachineDiffers where this machine is not as the run's.
    """
    store = require_same_store(order)
    plan, here = planned_here(order, progress)
    try:
        sweep = plan_robustness(order.config, plan, here, progress)
    except BenchError as error:
        raise MachineDiffers(f"The conditions cannot be planned on this machine: {error}") from None
    if sweep is None:
        raise UsageError("The run that sent this model asks for no conditions.")
    run_robustness(plan, sweep, store, here, Relayed(progress), workers_of_order(order), with_examples=False)
