"""Trained controls: settings of built-in data in which pretrained language must help, and in which nothing can.

Positive: a model learns classes by their names and is asked for classes that no training image shows, all called by
synonyms that no training text holds. A language model knows that a disc is round; one of random weights cannot (C2),
and names of other classes tell nothing (C3). Negative: classes are called by made-up words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.instrument.expectation import CheckResult, Expectation, negative, positive, undecided
from harness.judge.verdict.comparison import contrast_with_control
from harness.judge.verdict.evidence import gather
from harness.judge.verdict.judge import installed_fusion, judge_stores, score_reader
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.judge.verdict.verdict import Judged, Verdict
from harness.plan.config import RunConfig, build_config
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.records.store import Store
from harness.run.job_server import Workers
from harness.run.reporter import Reporter
from harness.run.runner import is_done, run_plan
from harness.stats.difference import Difference

TASK, MODEL, CONTROLS = "zero-shot-classification", "class-embedding", "C2,C3"
_COMPARISONS = {f"{metric}: F − {control}": (metric, control) for metric in ("AUSUC", "S") for control in ("C2", "C3")}
"""What tells the controls apart: all classes together, at every bias to seen ones (Chao et al. 2016), and seen ones.

Unseen classes alone are eight, whose order random weights get right by luck too often for five seeds.
"""
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
        positive("synonym", "classes are called by synonyms, at test time only", tuple(_COMPARISONS)),
        {"test_lexicon": "synonym"},
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
    seeds = training.config.request.seeds
    wanted = training.control.wanted(seeds)
    tables = judge(TASK, [store], (MODEL,), wanted.claims)
    compared = compare_arms(training.plan, store) if seeds >= LEAST_SEEDS else {}
    return wanted.hold(_verdicts(tables, training.plan), compared)


def compare_arms(plan: Plan, store: Store) -> Mapping[str, Difference]:
    """Compare the planned model with its controls by the code of the verdicts, sample by sample over all seeds."""
    planned = {cell.fingerprint for cell in plan.cells}
    records = [record for record in store.read_records(TASK) if record.fingerprint in planned]
    found: dict[str, Difference] = {}
    for evidence in gather(records, (), plan.task.metrics, installed_fusion(TASK), score_reader([store])):
        for head in evidence.heads():
            for name, (metric, control) in _COMPARISONS.items():
                other = evidence.control(head, control)
                if isinstance(other, str):
                    continue
                difference = contrast_with_control(evidence, metric, [(1.0, head), (-1.0, other)])
                if not isinstance(difference, str):
                    found[name] = difference
    return found


def _verdicts(tables: Sequence[Judged], plan: Plan) -> Sequence[Verdict]:
    """The verdicts about what was planned: the folder may hold other data, and other profiles."""
    limit = plan.cells[0].evaluate.limit
    own = [
        table.verdicts
        for table in tables
        if (table.scope.data_digest, table.scope.split, table.scope.limit) == (plan.data.digest, plan.split, limit)
    ]
    return own[-1] if own else ()
