"""A study from its plan to its verdicts: runs go through what `bench run` runs by, and nothing is told twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.cli.options import environment_of_command
from harness.cli.run import data_line, left_out, reporter_for, run_explained, unmeasured
from harness.errors import UsageError
from harness.judge.study.aims import Aim, aims_of, fused_models
from harness.judge.study.first_trainings import first_trainings
from harness.judge.study.order import Budget, Dropped, StudyStep, Work, explained_label, in_order, require_time
from harness.judge.study.planning import StudyCells, Variation, plan_cells, subjects_of
from harness.judge.study.prices import Prices
from harness.judge.study.watch import of_study, standing, told_changes
from harness.judge.verdict.evidence import Options
from harness.judge.verdict.judge import check_claims, installed_fusion, judge_stores
from harness.judge.verdict.needs import LEAST_SEEDS, NeededRun
from harness.judge.verdict.verdict import Judged
from harness.plan.conditions import plan_robustness
from harness.plan.explanations import plan_explanations
from harness.plan.names import words
from harness.plan.plugins import load_task
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.record import RunRecord
from harness.records.sample_scores import label_of
from harness.records.store import Store
from harness.report.study_tables import StudyTold
from harness.run.cell_maker import find_done
from harness.run.cells_elsewhere import run_cells
from harness.run.choose_executor import jobs_side_by_side, workers_of
from harness.run.conditions_elsewhere import run_conditions
from harness.text.said_time import duration_text

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
    steps: Sequence[StudyStep]
    dropped: Sequence[Dropped]
    told: StudyTold
    options: Options
    store: Store
    environment: Environment
    tried: Sequence[RunRecord]

    @property
    def planned(self) -> list[Aim]:
        """The claims about models that are to be decided."""
        return [step.aim for step in self.steps]


@dataclass(frozen=True)
class StudyEnd:
    """What a study has come to: its verdicts, what it has not decided and why, and how many cells failed."""

    judged: Sequence[Judged]
    undecided: Sequence[str]
    failed: int


def plan_study(config: RunConfig, claims: str | None, budget: Budget, options: Options, server: ForkServer) -> Study:
    """Plan a study and price it; raises BenchError for whatever the user must mend first.

    Where no record tells what cells of a model cost, or of a way of tuning it, one short cell of it is run, into no
    results folder.
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
        slots = jobs_side_by_side(config.request, next(iter(cells.variations.values())).plan) if cells.variations else 1
        work = _work(config, cells, store, environment, slots)
        steps, dropped = in_order(aims, work, slots)
        tried = _tried(config, _unpriced(work, steps), environment, server)
        if tried:
            work = _work(config, cells, store, environment, slots, tried)
        require_time(aims, work, budget)
        steps, dropped = in_order(aims, work, slots, budget.left)
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
        notes=_notes(config, cells, work.prices.records, store),
    )
    return Study(config, cells, steps, dropped, told, options, store, environment, tried)


def _work(
    config: RunConfig, cells: StudyCells, store: Store, environment: Environment, slots: int,
    tried: Sequence[RunRecord] = (),
) -> Work:  # fmt: skip
    """What is done by now, and what the rest costs by all that was timed until now; each cell is looked up once."""
    task = next((each.plan.task.name for each in cells.variations.values()), config.request.task)
    prices = Prices(
        [record for record in store.read_records(task) if record.status == "ok"],
        tried,
        sweeps=store.read_robustness(task),
        explained=store.read_explanations(task),
        first=first_trainings(cells, environment.cache, slots),
    )
    done: dict[str, bool] = {}

    def is_done(cell: Cell) -> bool:
        if cell.fingerprint not in done:
            done[cell.fingerprint] = find_done(store, cell) is not None
        return done[cell.fingerprint]

    return Work(cells, prices, is_done, lambda cell: _scored(store, cell), config.perturb.limit, config.explain.limit)


def run_study(
    study: Study, server: ForkServer, budget: Budget, say: Callable[[str], None], *, debug: bool = False
) -> StudyEnd:
    """Run a study step by step, and say how verdicts change.

    Finished cells are found done, so a study that was interrupted goes on. Before each step what is left is priced
    anew by what has been timed, so that a claim which an estimate had dropped runs where time is left for it after all.
    """
    failed, number, slots = 0, 0, study.told.slots
    aims, before = list(study.planned), standing(_judged(study, study.planned))
    left = [*aims, *(each.aim for each in study.dropped)]
    while True:
        work = _work(study.config, study.cells, study.store, study.environment, slots, study.tried)
        steps, dropped = in_order(left, work, slots, budget.left)
        if not steps:
            break
        step, number = steps[0], number + 1
        late = step.aim not in aims
        aims += [step.aim] if late else []
        if step.runs:
            say(
                f"Step {number} of {number - 1 + len(steps)}: {step.aim.claim} of {step.aim.model}: "
                f"{step.cells} cells, {step.conditions} scores under conditions, "
                f"about {duration_text(step.price.seconds / slots)}{'; there is time for it after all' if late else ''}"
            )
            failed += _run_step(study, step, server, debug=debug)
        after = standing(_judged(study, aims))
        for line in told_changes(before, after, step.aim):
            say(line)
        before = after
        left.remove(step.aim)
    for each in dropped:
        if each.aim in aims:
            say(f"Dropped: {each.aim.claim}, {each.aim.model}: {each.reason}")
    undecided = dict.fromkeys(f"not decided: {each.aim.claim}, {each.aim.model}: {each.reason}" for each in dropped)
    return StudyEnd(_judged(study, aims), list(undecided), failed)


def _judged(study: Study, aims: Sequence[Aim]) -> list[Judged]:
    claims = list(dict.fromkeys(aim.claim for aim in aims))
    if not claims:
        return []
    return of_study(judge_stores(study.told.task, [study.store], (), claims, study.options), aims, study.cells)


def _run_step(study: Study, step: StudyStep, server: ForkServer, *, debug: bool) -> int:
    """Run what a step needs, settings by settings; returns how many cells and conditions failed."""
    by_setting: dict[Variation, list[NeededRun]] = {}
    for run in step.runs:
        by_setting.setdefault(Variation.of(run), []).append(run)
    failed = 0
    for runs in by_setting.values():
        planned = study.cells.planned(runs[0])
        failed += _run_part(study, planned.config, _part(study, planned.plan, runs), server, debug=debug)
        perturbed: dict[tuple[str, ...], list[NeededRun]] = {}
        for run in runs:
            if run.conditions:
                perturbed.setdefault(run.conditions, []).append(run)
        for conditions, those in perturbed.items():
            request = replace(planned.config.request, perturb=",".join(conditions))
            config = replace(planned.config, request=request)
            failed += _perturb_part(study, config, _part(study, planned.plan, those), server)
        for methods in dict.fromkeys(run.explain for run in runs if run.explain):
            request = replace(planned.config.request, explain=",".join(methods))
            config = replace(planned.config, request=request)
            those = [run for run in runs if run.explain == methods]
            failed += _explain_part(study, config, _part(study, planned.plan, those), server)
    return failed


def _part(study: Study, plan: Plan, runs: Sequence[NeededRun]) -> Plan:
    """The part of a plan that some runs are."""
    wanted = {cell.fingerprint for run in runs for cell in study.cells.cells(run)}
    return replace(plan, cells=tuple(cell for cell in plan.cells if cell.fingerprint in wanted), absent=())


def _run_part(study: Study, config: RunConfig, plan: Plan, server: ForkServer, *, debug: bool) -> int:
    reporter = reporter_for(plan.task.metrics[0])
    try:
        reporter.say(data_line(config, plan, study.environment))
        for line in (*left_out(plan, debug), *(f"Note: {note}" for note in plan.data.notes)):
            reporter.say(line)
        reporter.plan(len(plan.cells))
        workers = workers_of(config.request, server)
        summary = run_cells(config, plan, study.store, study.environment, reporter, workers)
    finally:
        reporter.close()
    return unmeasured(summary, plan.task.name)


def _perturb_part(study: Study, config: RunConfig, plan: Plan, server: ForkServer) -> int:
    reporter = reporter_for(plan.task.metrics[0])
    try:
        sweep = plan_robustness(config, plan, study.environment, reporter.progress)
        assert sweep is not None
        workers = workers_of(config.request, server)
        return run_conditions(config, plan, sweep, study.store, study.environment, reporter, workers).failed
    finally:
        reporter.close()


def _explain_part(study: Study, config: RunConfig, plan: Plan, server: ForkServer) -> int:
    explanations = plan_explanations(config, plan.task, study.environment.cache)
    assert explanations is not None
    return run_explained(config, plan, explanations, workers_of(config.request, server))


def _scored(store: Store, cell: Cell) -> set[str]:
    """The conditions under which a cell has a score or a reason why it has none, and what explains its answers."""
    found = store.find_robustness(cell.training.task, cell.fingerprint)
    explained = store.find_explanation(cell.training.task, cell.fingerprint)
    scored = () if found is None else (label_of(score) for score in found.scores if score.status != "failed")
    return {*scored, *(() if explained is None else map(explained_label, explained.methods))}


def _count_done(steps: Sequence[StudyStep], work: Work) -> int:
    cells = {c.fingerprint: c for step in steps for run in step.aim.runs for c in work.cells.cells(run)}
    return sum(work.is_done(cell) for cell in cells.values())


def _unpriced(work: Work, steps: Sequence[StudyStep]) -> list[NeededRun]:
    """The models, and the ways of tuning them that cost otherwise, of which no record tells what their cells cost."""
    unknown = [cell.training for cell in work.pending(steps) if not work.prices.knows(cell)]
    found = {(training.model, training.options.tune) for training in unknown}
    return [NeededRun(model, tune=tune) for model, tune in sorted(found, key=lambda each: (each[0], each[1] or ""))]


def _tried(
    config: RunConfig, lacking: Sequence[NeededRun], environment: Environment, server: ForkServer
) -> list[RunRecord]:  # fmt: skip
    found = [_try_one(config, run, environment, server) for run in lacking]
    return [record for record in found if record is not None]


def _try_one(config: RunConfig, run: NeededRun, environment: Environment, server: ForkServer) -> RunRecord | None:
    """Run one short cell of a model in a folder that goes, to know what its cells cost; None where it fails."""
    short = Variation.of(run).changed(config, [run.model])
    short = replace(
        short,
        request=replace(short.request, seeds=1),
        train=replace(short.train, steps=min(short.train.steps, _TRIED_STEPS), gate_steps=0, validations=1, trials=1),
        evaluate=replace(short.evaluate, limit=_TRIED_SAMPLES, resamples=0, emap=0),
        measure=replace(short.measure, warmups=2, runs=_TRIED_RUNS),
    )
    reporter = reporter_for(load_task(short.request.task).metrics[0])
    try:
        name = run.name if run.tune is None else f"{run.name} with --tune {run.tune}"
        reporter.say(f"No record tells what {name} costs here: trying one short cell of it.")
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
