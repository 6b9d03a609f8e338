"""Trains again what a stored cell builds on where that is not whole, and the cell where its checkpoint is gone."""

from __future__ import annotations

from harness.cell import Cell, Places
from harness.files import one_at_a_time
from harness.jobs import named_jobs
from harness.plan.run_plan import Plan
from harness.records.trainings import CHECKPOINT, SUMMARY, why_unusable
from harness.run.executor import Executor, JobRequest
from harness.run.reporter import Reporter


def mended_places(cell: Cell, places: Places, plan: Plan, executor: Executor, reporter: Reporter) -> None:
    """Make sure that a cell's checkpoint can be loaded; raises JobFailure where it cannot be trained again."""
    kind = plan.devices.kind
    if places.prerequisite is not None:
        with one_at_a_time(places.prerequisite / SUMMARY):  # other runs and workers have this cache too
            if reason := why_unusable(places.prerequisite):
                reporter.say(f"{cell.label}: {reason}; training what it builds on again.")
                first = Places(places.cache, places.prerequisite, None)
                job = plan.prerequisites[str(cell.training.prerequisite)]
                executor.submit(named_jobs.train, (job, first), JobRequest(job.model, reporter.progress, kind)).result()
    with one_at_a_time(places.training / SUMMARY):
        if not (places.training / CHECKPOINT).is_file():
            reporter.say(f"{cell.label}: its checkpoint is gone ({places.training}); training it again.")
            request = JobRequest(cell.label, reporter.progress, kind)
            executor.submit(named_jobs.train, (cell.training, places), request).result()
