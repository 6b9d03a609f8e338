"""Trained controls: settings of built-in data in which pretrained language must help, and in which nothing can.

Positive: a model learns classes by their names and is asked for classes that no training image shows, all called by
synonyms that no training text holds. A language model knows that a disc is round; one of random weights cannot (C2),
and names of other classes tell nothing (C3). Negative: classes are called by made-up words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.instrument.expectation import CheckResult, Expectation, negative, positive, undecided
from harness.judge.verdict.judge import judge_stores
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.judge.verdict.verdict import Judged, Verdict
from harness.plan.config import RunConfig, build_config
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.records.store import Store
from harness.run.job_server import Workers
from harness.run.reporter import Reporter
from harness.run.runner import is_done, run_plan

TASK, MODEL, CONTROLS = "zero-shot-classification", "class-embedding", "C2,C3"
Judge = Callable[..., list[Judged]]
"""What judges stored records: `harness.judge.verdict.judge.judge_stores`, as for `bench verdict`."""


@dataclass(frozen=True)
class TrainedControl:
    """How the words of classes are set, and what is wanted of the verdicts where there are seeds enough for any."""

    expectation: Expectation
    words: Mapping[str, str]

    def wanted(self, seeds: int) -> Expectation:
        """What verdicts must say of so many seeds."""
        if seeds >= LEAST_SEEDS:
            return self.expectation
        return undecided(self.expectation.name, self.expectation.there, f"{seeds} of {LEAST_SEEDS} seeds")


TRAINED = (
    TrainedControl(
        positive("synonym", "classes are called by synonyms, at test time only"), {"test_lexicon": "synonym"}
    ),
    TrainedControl(negative("opaque", "classes are called by made-up words"), {"lexicon": "opaque"}),
)


@dataclass(frozen=True)
class Training:
    """A trained control with what is planned of it."""

    control: TrainedControl
    config: RunConfig
    plan: Plan

    def missing(self, store: Store) -> int:
        """Count the cells that have no record yet."""
        return sum(not is_done(store, cell) for cell in self.plan.cells)


def plan_trainings(flags: Mapping[str, object], here: Environment, reporter: Reporter) -> list[Training]:
    """Plan both controls; `flags` are options of a run: profile, seeds, results and jobs."""
    found = []
    for control in TRAINED:
        given = {"task": TASK, "model": MODEL, "controls": CONTROLS, "data": "scenes", "no_measure": True}
        given |= {**control.words, **flags}
        config = build_config(given, task=TASK)
        found.append(Training(control, config, plan_run(config, TASK, here, reporter.progress)))
    return found


def run_training(training: Training, store: Store, here: Environment, reporter: Reporter, workers: Workers) -> int:
    """Train what has no record yet; returns how many cells failed or could not run."""
    done = run_plan(training.plan, store, here, reporter, workers)
    return done.failed + done.skipped + done.conflicts


def not_run(training: Training, failed: int) -> CheckResult:
    """Say that a control could not be judged, as cells have failed."""
    wanted = training.control.wanted(training.config.request.seeds)
    why = f"{failed} cells failed or could not run: their records in {training.config.request.results} say why"
    return CheckResult(wanted.name, wanted.there, wanted.wanted, "nothing was judged", (why,))


def judge_training(training: Training, store: Store, judge: Judge = judge_stores) -> CheckResult:
    """Judge the records of a control as `bench verdict` does, and hold that against what is wanted."""
    wanted = training.control.wanted(training.config.request.seeds)
    tables = judge(TASK, [store], (MODEL,), wanted.claims)
    return wanted.hold(_verdicts(tables, training.plan))


def _verdicts(tables: Sequence[Judged], plan: Plan) -> Sequence[Verdict]:
    """The verdicts about what was planned: the folder may hold other data, and other profiles."""
    limit = plan.cells[0].evaluate.limit
    own = [
        table.verdicts
        for table in tables
        if (table.scope.data_digest, table.scope.split, table.scope.limit) == (plan.data.digest, plan.split, limit)
    ]
    return own[-1] if own else ()
