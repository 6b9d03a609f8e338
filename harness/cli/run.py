"""One task of `bench run`: plan it, say what is left out, run it, perturb it, log it, and count what failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cli.options import environment_of_command, tell
from harness.cli.tables import print_explanations, print_leaderboards, print_robustness
from harness.errors import cause_of

if TYPE_CHECKING:
    from harness.cli.progress import ConsoleReporter
    from harness.plan.conditions import RobustnessPlan
    from harness.plan.config import RunConfig
    from harness.plan.explanations import ExplanationPlan
    from harness.plan.run_plan import Environment, Plan
    from harness.records.store import Store
    from harness.report.track.tracker import Tracker
    from harness.run.fork_server import ForkServer
    from harness.run.job_server import Workers
    from harness.run.runner import RunSummary


@dataclass(frozen=True)
class Shown:
    """How much a run shows: the tracebacks of plugins that fail, and columns of tables that do not fit."""

    debug: bool = False
    wide: bool = False


def run_task(config: RunConfig, name: str, trackers: Sequence[Tracker], server: ForkServer, shown: Shown) -> int:
    """Run one task and print its table; returns how many cells failed, conflict, or did not run though asked for."""
    from harness.audit.kept_audits import kept_findings
    from harness.plan.conditions import plan_robustness
    from harness.plan.explanations import plan_explanations
    from harness.plan.plugins import load_task
    from harness.plan.run_plan import plan_run
    from harness.records.store import Store
    from harness.run.cells_elsewhere import run_cells
    from harness.run.choose_executor import workers_of

    here, store = environment_of_command(), Store(config.request.results)
    workers = workers_of(config.request, server)
    reporter = reporter_for(load_task(name).metrics[0])
    try:
        plan = plan_run(config, name, here, reporter.progress)
        sweep = plan_robustness(config, plan, here, reporter.progress)
        explanations = plan_explanations(config, plan.task, here.cache)
        reporter.say(data_line(config, plan, here))
        for line in left_out(plan, shown.debug):
            reporter.say(line)
        for note in plan.data.notes:
            reporter.say(f"Note: {note}")
        for finding in kept_findings(here.cache, name, plan.data.digest):
            reporter.say(f"Audit: {finding}")
        reporter.plan(len(plan.cells))
        summary = run_cells(config, plan, store, here, reporter, workers)
    finally:
        reporter.close()
    failed = unmeasured(summary, name)
    if sweep:
        failed += _run_robustness(config, plan, sweep, workers, wide=shown.wide)
    if explanations:
        failed += run_explained(config, plan, explanations, workers)
        print_explanations([name], config.request.results, wide=shown.wide)
    print_leaderboards([name], config.request.results, "text", None, plan, wide=shown.wide)
    tell(
        f"{summary.ok} ok ({summary.found} found done), {summary.failed} failed, {summary.skipped} skipped; "
        f"records in {config.request.results}"
    )
    if trackers:
        _track(plan, trackers, store)
    return failed


def left_out(plan: Plan, debug: bool) -> Iterator[str]:
    """Say which plugins could not be loaded, and with --debug the tracebacks of those that could not be planned."""
    for error in plan.broken:
        yield f"Left out: {error}"
        if debug:
            yield cause_of(error)
    if debug:
        yield from dict.fromkeys(absent.trace for absent in plan.absent if absent.trace)


def unmeasured(summary: RunSummary, task: str) -> int:
    """Count what failed, and what did not run though it was asked for: by name, or nothing at all ran."""
    if summary.not_run:
        print(
            f"bench: {task}: {_cells(summary.not_run)} of models that were asked for by name did not run; "
            "the table says why.",
            file=sys.stderr,
        )
    elif summary.skipped and not summary.ok and not summary.failed:
        print(f"bench: {task}: nothing ran; the table says why.", file=sys.stderr)
        return summary.skipped
    if summary.conflicts:
        print(f"bench: {task}: {_cells(summary.conflicts)} in conflict with another run.", file=sys.stderr)
    return summary.failed + summary.not_run + summary.conflicts


def open_trackers_of(config: RunConfig) -> Sequence[Tracker]:
    """Open the trackers of `--log`, before anything is trained."""
    if not config.trackers:
        return ()
    from harness.records.store import Store
    from harness.report.track.choose import open_trackers

    return open_trackers(config.trackers, Store(config.request.results).local, os.environ)


def _track(plan: Plan, trackers: Sequence[Tracker], store: Store) -> None:
    """Log what a task has left in the store; a tracker that fails is told of, and loses nothing else."""
    from harness.judge.stored_rows import unfused_models
    from harness.judge.verdict.judge import installed_fusion
    from harness.report.page.sources import ReportOptions
    from harness.report.track.feed import track_task

    reporter = reporter_for(plan.task.metrics[0])
    options = ReportOptions(tasks=(plan.task.name,), unfused=unfused_models(), fusion=installed_fusion)
    for summary in track_task(plan, trackers, store, options, reporter.say):
        tell(f"Tracked: {summary}")


def _run_robustness(config: RunConfig, plan: Plan, sweep: RobustnessPlan, workers: Workers, *, wide: bool) -> int:
    """Perturb inputs of the trained models of a plan, print their robustness; returns how many conditions failed."""
    from harness.records.store import Store
    from harness.run.conditions_elsewhere import run_conditions

    reporter, store = reporter_for(plan.task.metrics[0]), Store(config.request.results)
    try:
        reporter.say(f"{len(sweep.conditions)} conditions for each trained model of {plan.task.name}.")
        summary = run_conditions(config, plan, sweep, store, environment_of_command(), reporter, workers)
    finally:
        reporter.close()
    tell(
        f"Conditions: {summary.ok} ok, {summary.failed} failed, {summary.skipped} skipped ({summary.found} found done)"
    )
    print_robustness([plan.task.name], config.request.results, wide=wide)
    return summary.failed


def run_explained(config: RunConfig, plan: Plan, explanations: ExplanationPlan, workers: Workers) -> int:
    """Explain what the trained models of a plan answer; returns how many could not be explained."""
    from harness.records.store import Store
    from harness.run.explanation_runner import run_explanations

    reporter, store = reporter_for(plan.task.metrics[0]), Store(config.request.results)
    try:
        summary = run_explanations(plan, explanations, store, environment_of_command(), reporter, workers)
    finally:
        reporter.close()
    tell(f"Explanations: {summary.ok} ok ({summary.found} found done), {summary.failed} failed")
    return summary.failed


def data_line(config: RunConfig, plan: Plan, environment: Environment) -> str:
    """Say which data a plan is about and why, on which devices, and how many cells there are."""
    reasons = {
        config.request.data is not None: f"asked for with --data {config.request.data}",
        config.request.data is None and bool(environment.bench_data): "from $BENCH_DATA",
    }
    fallback = "no --data, no $BENCH_DATA" + (", no ./data/coco" if plan.data.layout == "scenes" else ": ./data/coco")
    reason = reasons.get(True, fallback)
    return (
        f"Data: {plan.data.name} in {plan.data.root} ({reason}), digest {plan.data.digest[:12]}, "
        f"split {plan.split}. Device: {plan.devices}. {_cells(len(plan.cells))}."
    )


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


def reporter_for(metric: str) -> ConsoleReporter:
    """Tell on standard error what is being done; a cell's result by this metric."""
    from harness.cli.progress import ConsoleReporter

    return ConsoleReporter(metric)
