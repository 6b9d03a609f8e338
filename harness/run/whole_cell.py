"""One cell, run whole on the machine that it was sent to: planned there anew, compared with the run's plan, and run.

A cell goes as one unit, and not job by job, since its training is then where it is predicted with and measured, on one
machine and one kind of hardware; what leaves that machine is what the store keeps, and nothing large passes through the
run that asked. Scores are computed there too: they wait for no other cell's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from harness.cell import Cell
from harness.errors import BenchError, MachineDiffers, StoreError
from harness.measure.provenance import PACKAGES, package_versions
from harness.plan.config import RunConfig
from harness.plan.environment import environment
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.protocols import NOTICE, Progress
from harness.record import RunRecord, name_of
from harness.records.store import Store
from harness.run.fork_server import ForkServer
from harness.run.job_server import Workers
from harness.run.runner import run_plan

_NAMED = 5
"""So many differences are named."""


@dataclass(frozen=True)
class CellOrder:
    """A cell that another machine is to run: what to plan it with, what must come out, and where its record goes.

    `store_identity` is what the results folder is known by (see `Store.identity`), `versions` are those of the packages
    of the run's machine, `gpu_part` is how much of a GPU's memory the cell may fill.
    """

    config: RunConfig
    cell: Cell
    environment: Environment
    store: str
    store_identity: str
    versions: Mapping[str, str]
    gpu_part: float = 1.0


@dataclass(frozen=True)
class CellDone:
    """What became of a cell whose record lies in the store: who made it, and whether another run's differs."""

    found: bool
    conflict: bool


def run_whole_cell(order: CellOrder, progress: Progress) -> CellDone:
    """Run a cell unless its record is in the store; it has one afterwards.

    Raises MachineDiffers, before anything is trained, where this machine is not as the run's.
    """
    store = require_same_store(order)
    plan, here = planned_here(order, progress)
    summary = run_plan(plan, store, here, Relayed(progress), workers_of_order(order))
    return CellDone(bool(summary.found), bool(summary.conflicts))


def workers_of_order(order: CellOrder) -> Workers:
    """Say how the jobs of an order are run on this machine."""
    wish = order.config.request
    return Workers(1, wish.job_timeout, _server(), limit_s=wish.job_limit, gpu_part=order.gpu_part)


@cache
def _server() -> ForkServer:
    """The fork server of this worker: it ends with the process, and serves all cells that come to it."""
    return ForkServer()


def require_same_store(order: CellOrder) -> Store:
    """Open the results folder of a run; raises MachineDiffers where this machine has another one of that name."""
    store = Store(order.store)
    try:
        found = store.find_identity()
    except StoreError as error:
        raise MachineDiffers(f"{error} All machines of a run need its results folder.") from None
    if found != order.store_identity:
        raise MachineDiffers(
            f"{order.store} is not the results folder of the run on this machine. Share that folder with all machines "
            "at the same path, or give a URL that they all reach, such as --results s3://BUCKET/RESULTS."
        )
    return store


def planned_here(order: CellOrder, progress: Progress) -> tuple[Plan, Environment]:
    """Plan the cell as the run did, with what is installed here and data as it lies here; raises MachineDiffers."""
    here, job = environment(order.environment.command or ""), order.cell.training
    here = replace(
        here,
        working_directory=order.environment.working_directory,
        bench_data=here.bench_data or order.environment.bench_data,
        command=order.environment.command,
    )
    request = order.config.request
    alone = replace(
        request,
        model=name_of(order.cell.model, job.control),
        seeds=job.seed + 1,
        exclude=None,
        controls=None,
        device=job.device,  # any of that kind that this worker may use
        devices=None,
        executor="local",
    )
    if unlike := _unlike(order.versions, package_versions(PACKAGES)):
        raise _differs(unlike)
    try:
        plan = plan_run(replace(order.config, request=alone), job.task, here, progress)
    except BenchError as error:
        raise MachineDiffers(f"The cell cannot be planned on this machine: {error}") from None
    return replace(plan, cells=(_same_cell(plan, order.cell),), absent=()), here


def _same_cell(plan: Plan, wanted: Cell) -> Cell:
    for cell in plan.cells:
        if cell.fingerprint == wanted.fingerprint:
            return cell
    job = wanted.training
    own = [cell for cell in plan.cells if (cell.training.control, cell.training.seed) == (job.control, job.seed)]
    if not own:
        reasons = [absent.reason for absent in plan.absent] or ["its model is not planned"]
        raise MachineDiffers(f"The cell cannot run on this machine: {reasons[0]}")
    raise _differs(_unlike(wanted.content, own[0].content))


def _differs(unlike: Mapping[str, tuple[str, str]]) -> MachineDiffers:
    named = [f"{name} is {here} here and {there} in the run" for name, (there, here) in unlike.items()]
    more = f", and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return MachineDiffers(
        f"This machine differs from that of the run: {'; '.join(named[:_NAMED])}{more}. Install the same packages and "
        "code there, and give it the same data."
    )


def _unlike(run: Mapping[str, object], here: Mapping[str, object], prefix: str = "") -> dict[str, tuple[str, str]]:
    """Name the values of nested mappings that are unlike: that of the run and the one here.

    >>> _unlike({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    {'a.c': ('2', '3')}
    """
    found: dict[str, tuple[str, str]] = {}
    for key in dict.fromkeys([*run, *here]):
        one, other = run.get(key), here.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= _unlike(one, other, f"{prefix}{key}.")
        elif str(one) != str(other):
            found[f"{prefix}{key}"] = (str(one), str(other))
    return found


@dataclass(frozen=True)
class Relayed:
    """Tells the run that asked what is being done here; the record speaks for itself."""

    told: Progress

    def progress(self, what: str, done: int, total: int) -> None:
        """Pass a report on."""
        self.told(what, done, total)

    def say(self, message: str) -> None:
        """Pass a message on, as one that stays."""
        self.told(message, 0, NOTICE)

    def finish(self, record: RunRecord) -> None:
        """Say nothing: the run reads the record."""
