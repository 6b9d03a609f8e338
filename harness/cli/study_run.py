"""A study from its plan to its verdicts: runs go through what `bench run` runs by, and nothing is told twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.cli.options import environment_of_command
from harness.cli.run import reporter_for
from harness.errors import UsageError
from harness.judge.study.aims import aims_of, fused_models
from harness.judge.study.order import Dropped, Step, Work, in_order
from harness.judge.study.planning import StudyCells, Variation, plan_cells, subjects_of
from harness.judge.study.prices import Prices
from harness.judge.verdict.evidence import Options
from harness.judge.verdict.judge import check_claims, installed_fusion
from harness.judge.verdict.needs import LEAST_SEEDS, NeededRun
from harness.plan.names import words
from harness.plan.plugins import load_task
from harness.plan.run_plan import Environment, plan_run
from harness.record import RunRecord
from harness.records.sample_scores import label_of
from harness.records.store import Store
from harness.report.study_tables import StudyTold
from harness.run.cell_maker import find_done
from harness.run.cells_elsewhere import run_cells
from harness.run.choose_executor import jobs_side_by_side, workers_of

if TYPE_CHECKING:
    from harness.cell import Cell
    from harness.plan.config import RunConfig
    from harness.run.fork_server import ForkServer

_TRIED_STEPS, _TRIED_SAMPLES, _TRIED_RUNS = 20, 64, 20


@dataclass(frozen=True)
class Study:
    """What is planned, and all that running it takes."""

    config: RunConfig
    cells: StudyCells
    steps: Sequence[Step]
    dropped: Sequence[Dropped]
    told: StudyTold
    options: Options
    store: Store
    environment: Environment
    debug: bool = False


def plan_study(
    config: RunConfig, claims: str | None, budget_s: float | None, options: Options, server: ForkServer, *,
    debug: bool = False,
) -> Study:  # fmt: skip
    """Plan a study and price it; raises BenchError for whatever the user must mend first.

    Where no record tells what a model's cells cost, one short cell of it is run, into no results folder.
    """
    task, environment, store = load_task(config.request.task), environment_of_command(), Store(config.request.results)
    wanted, fusion = check_claims(words(claims), "--claims"), installed_fusion(task.name)
    models = fused_models(task.name, words(config.request.model), config.study, fusion)
    if options.stand_in is not None and options.stand_in not in fusion.unfused:
        raise UsageError(f"--stand-in {options.stand_in}: wanted an un-fused model of {task.name}.")
    reporter = reporter_for(task.metrics[0])
    try:
        subjects = subjects_of(config, task, models, fusion, environment, reporter.progress, options.stand_in)
        aims = aims_of(wanted, subjects)
        cells = plan_cells(config, task, aims, environment, reporter.progress)
        records = [record for record in store.read_records(task.name) if record.status == "ok"]
        work = Work(
            cells, Prices(records), lambda cell: find_done(store, cell) is not None,
            lambda cell: _scored(store, cell), config.perturb.limit,
        )  # fmt: skip
        slots = jobs_side_by_side(config.request, next(iter(cells.variations.values())).plan) if cells.variations else 1
        steps, dropped = in_order(aims, work, slots)
        lacking = {cell.training.model for cell in work.pending(steps) if work.prices.like(cell) is None}
        if lacking:
            tried = [_try_one(config, name, environment, server) for name in sorted(lacking)]
            work = replace(work, prices=Prices(records, [record for record in tried if record is not None]))
        steps, dropped = in_order(aims, work, slots, budget_s)
    finally:
        reporter.close()
    told = StudyTold(
        task=task.name,
        steps=steps,
        dropped=dropped,
        seeds=config.request.seeds,
        done=_count_done(steps, work),
        slots=slots,
        source=work.prices.source(work.pending(steps)),
        free_bytes=_free_bytes(store),
        notes=_notes(config, cells, records, store),
    )
    return Study(config, cells, steps, dropped, told, options, store, environment, debug)


def _scored(store: Store, cell: Cell) -> set[str]:
    """The conditions under which a cell has a score or a reason why it has none."""
    found = store.find_robustness(cell.training.task, cell.fingerprint)
    return set() if found is None else {label_of(score) for score in found.scores if score.status != "failed"}


def _count_done(steps: Sequence[Step], work: Work) -> int:
    cells = {c.fingerprint: c for step in steps for run in step.aim.runs for c in work.cells.cells(run)}
    return sum(work.is_done(cell) for cell in cells.values())


def _try_one(config: RunConfig, model: str, environment: Environment, server: ForkServer) -> RunRecord | None:
    """Run one short cell of a model in a folder that goes, to know what its cells cost; None where it fails."""
    short = Variation.of(NeededRun(model)).changed(config, [model])
    short = replace(
        short,
        request=replace(short.request, seeds=1),
        train=replace(short.train, steps=min(short.train.steps, _TRIED_STEPS), gate_steps=0, validations=1),
        evaluate=replace(short.evaluate, limit=_TRIED_SAMPLES, resamples=0, emap=0),
        measure=replace(short.measure, warmups=2, runs=_TRIED_RUNS),
    )
    reporter = reporter_for(load_task(short.request.task).metrics[0])
    try:
        reporter.say(f"No record tells what {model} costs here: trying one short cell of it.")
        plan = plan_run(short, short.request.task, environment, reporter.progress)
        with tempfile.TemporaryDirectory(prefix="bench-study-") as folder:
            store = Store(folder)
            run_cells(short, plan, store, environment, reporter, workers_of(short.request, server))
            return next((record for record in store.read_records() if record.status == "ok"), None)
    finally:
        reporter.close()


def _free_bytes(store: Store) -> int | None:
    if store.local is None:
        return None
    places = (store.local.resolve(), *store.local.resolve().parents)
    return shutil.disk_usage(next(place for place in places if place.is_dir())).free


def _notes(config: RunConfig, cells: StudyCells, records: Sequence[RunRecord], store: Store) -> list[str]:
    """What the user must know beside the plan."""
    notes = []
    if config.request.seeds < LEAST_SEEDS:
        notes.append(
            f"{config.request.seeds} seeds: no claim is decided below {LEAST_SEEDS}; give --seeds {LEAST_SEEDS}."
        )
    if config.train.gate_steps == 0:
        notes.append(
            "train.gate_steps is 0: nobody will know whether a model can learn here, and no gain of fusion can be "
            "supported. Give --set train.gate_steps=120."
        )
    planned = {each.plan.data.digest: each.plan.data for each in cells.variations.values()}
    others = [record for record in records if record.data_digest not in planned]
    if others and planned:
        name, digest = others[0].data, others[0].data_digest[:12]
        own = next(iter(planned.values()))
        notes.append(
            f"{store.url} also holds {len(others)} records of other data ({name}, {digest}); this study is about "
            f"{own.name}, {own.digest[:12]}, and takes no notice of them."
        )
    return notes
