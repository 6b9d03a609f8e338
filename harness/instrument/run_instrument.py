"""Runs the tests of the instrument: planted worlds first, which take seconds, then trained controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Protocol

from harness.instrument.expectation import CheckResult, of_planted
from harness.instrument.planted_records import MODEL, REVERSED_SLICE, TASK, opened_place, plant
from harness.instrument.planted_worlds import CONTROL_ARMS, planted_worlds
from harness.instrument.trained_controls import Judge, judge_training, not_run, plan_trainings, run_training
from harness.judge.verdict.evidence import FusionControls
from harness.judge.verdict.judge import judge_stores
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.plan.run_plan import Environment
from harness.records.store import Store
from harness.run.job_server import Workers
from harness.run.reporter import Reporter

_SAMPLES, _RESAMPLES = 1000, 200
_PLANTED_FUSION = FusionControls({MODEL: CONTROL_ARMS})


class CountingReporter(Reporter, Protocol):
    """Whom a run tells what it is doing, and how many cells are to come."""

    def plan(self, cells: int) -> None:
        """So many cells are to come."""
        ...


@dataclass(frozen=True)
class Bench:
    """Where the tests run: the machine's places, whom they tell, by which processes, and what judges records."""

    here: Environment
    reporter: CountingReporter
    workers: Workers
    judge: Judge = judge_stores


def check_planted(bench: Bench) -> Iterator[CheckResult]:
    """Plant each world in a folder of its own, which is removed again, and judge its records."""
    expected, worlds = of_planted(REVERSED_SLICE), planted_worlds(REVERSED_SLICE)
    with opened_place(bench.here, _SAMPLES, _RESAMPLES, bench.reporter.progress) as place:
        for number, world in enumerate(worlds):
            bench.reporter.progress(f"planted world {world.name}", number, len(worlds))
            wanted = expected[world.name]
            with TemporaryDirectory(prefix="bench-planted-") as folder:
                store = Store(folder)
                plant(world, place, LEAST_SEEDS, store)
                tables = bench.judge(TASK, [store], (MODEL,), wanted.claims, None, _PLANTED_FUSION)
            yield wanted.hold([verdict for table in tables for verdict in table.verdicts])


def check_trained(bench: Bench, flags: Mapping[str, object]) -> Iterator[CheckResult]:
    """Train both controls as far as they have no records in the results folder, and judge what is there.

    `flags` are options of a run: profile, seeds, results and jobs.
    """
    store = Store(str(flags["results"]))
    trainings = plan_trainings(flags, bench.here, bench.reporter)
    missing = [training.missing(store) for training in trainings]
    total = sum(len(training.plan.cells) for training in trainings)
    bench.reporter.say(f"Trained controls: {total} cells, {total - sum(missing)} found done in {flags['results']}.")
    bench.reporter.plan(sum(missing))
    for training in trainings:
        failed = run_training(training, store, bench.here, bench.reporter, bench.workers)
        if failed:
            yield not_run(training, failed)
        else:
            yield judge_training(training, store, bench.judge)
