"""Explains the answers of trained models that have no current explanations: a job a model, then its record."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.cell import Cell, Places
from harness.explain.map_kinds import OF_METHOD, kind_of_map
from harness.jobs import named_jobs
from harness.jobs.robustness_block import OK, SKIPPED
from harness.plan.explanations import ExplanationPlan
from harness.plan.run_plan import Environment, Plan
from harness.record import Estimate, ExplanationRecord, MapScore, now
from harness.records.explanations import column_of, write_explanations
from harness.records.sample_scores import SECONDS
from harness.records.store import Store
from harness.records.trainings import prerequisite_folder, training_folder
from harness.records.writers import beside_other_runs
from harness.run.choose_executor import open_executor, takes_whole_cells, workload_of
from harness.run.executor import Executor, JobRequest
from harness.run.job_server import JobFailure, Workers
from harness.run.mend_checkpoints import mended_places
from harness.run.reporter import Reporter
from harness.run.runner import ALONE, is_done
from harness.stats.difference import weighted_difference
from harness.stats.sample_scores import SampleScores
from harness.storage.portable import without_places

if TYPE_CHECKING:
    from harness.jobs.explain_job import ExplainedTable, Explanations


@dataclass(frozen=True)
class ExplanationSummary:
    """How many models have explanations now, how many could not be explained, and how many were found done."""

    ok: int
    failed: int
    found: int


def run_explanations(
    plan: Plan,
    explanations: ExplanationPlan,
    store: Store,
    environment: Environment,
    reporter: Reporter,
    workers: Workers = ALONE,
) -> ExplanationSummary:
    """Give each trained model of a plan a record of explanations by these methods."""
    cells = [cell for cell in plan.cells if is_done(store, cell)]
    run = _ExplanationRun(plan, explanations, store, environment, reporter)
    pending = [cell for cell in cells if run.lacking(cell)]
    failed = 0
    if pending and takes_whole_cells(workers.executor):
        reporter.say(f"Answers are explained on this machine, not by {workers.executor}.")
        workers = replace(workers, executor="local")
    if pending:
        store.require_writable()
        with ExitStack() as stack:
            stack.enter_context(beside_other_runs(store))
            executor = open_executor(workload_of(plan), workers)
            pool = ThreadPoolExecutor(executor.slots)
            stack.callback(pool.shutdown, cancel_futures=True)
            stack.enter_context(executor)
            started = {pool.submit(run.explain, cell, executor): cell for cell in pending}
            for done, future in enumerate(as_completed(started), start=1):
                failed += not future.result()
                reporter.progress(f"explaining for {plan.task.name}", done, len(pending))
    return ExplanationSummary(len(cells) - failed, failed, len(cells) - len(pending))


class _ExplanationRun:
    """What the models of a run share."""

    def __init__(
        self, plan: Plan, explanations: ExplanationPlan, store: Store, environment: Environment, reporter: Reporter
    ) -> None:
        self.plan, self.wanted, self.store = plan, explanations, store
        self.environment, self.reporter = environment, reporter

    def lacking(self, cell: Cell) -> bool:
        """Whether a model has no current record with all methods."""
        former = self.store.find_explanation(cell.training.task, cell.fingerprint)
        return former is None or not set(self.wanted.methods) <= set(self._current(cell, former))

    def explain(self, cell: Cell, executor: Executor) -> bool:
        """Explain one model and write its record; False, and a message, where it could not be."""
        job, task = cell.training, cell.training.task
        former = self.store.find_explanation(task, cell.fingerprint)
        methods = tuple(dict.fromkeys((*(() if former is None else self._current(cell, former)), *self.wanted.methods)))
        folder, _ = training_folder(job, self.store, self.environment.cache)
        places = Places(self.environment.cache, folder, prerequisite_folder(job, self.environment.cache))
        request = JobRequest(cell.label, self.reporter.progress, self.plan.devices.kind)
        try:
            mended_places(cell, places, self.plan, executor, self.reporter)
            arguments = (cell, places, methods, self.wanted.options)
            started = perf_counter()
            found = executor.submit(named_jobs.explain, arguments, request).result()
            seconds = perf_counter() - started
        except JobFailure as failure:
            if failure.trace:
                name = f"{task}/failures/{cell.fingerprint}-explanations.txt"
                self.store.write_bytes(name, failure.trace.encode(errors="backslashreplace"))
                self.reporter.say(f"Traceback in {self.store.url}/{name}")
            self.reporter.say(f"{cell.label}: could not be explained: {failure.message}")
            return False
        tables = {name: _scores(table) for name, table in found.tables.items()}
        write_explanations(
            self.store, self._record(cell, methods, (found, seconds), tables), tables, _portable(found.examples)
        )
        return True

    def _current(self, cell: Cell, record: ExplanationRecord) -> tuple[str, ...]:
        """The methods of a record whose maps this run would make alike."""
        if record.explained_by != self.wanted.name(cell):
            return ()
        now_known, then = self.wanted.versions(record.methods), record.settings.get("versions", {})
        return tuple(method for method in record.methods if then.get(method) == now_known[method])

    def _record(
        self,
        cell: Cell,
        methods: tuple[str, ...],
        job_done: tuple[Explanations, float],
        tables: Mapping[str, SampleScores],
    ) -> ExplanationRecord:
        from harness.measure.provenance import provenance

        job, data, (found, seconds) = cell.training, cell.training.data, job_done
        return ExplanationRecord(
            fingerprint=cell.fingerprint,
            task=job.task,
            data=data.name,
            data_digest=data.digest,
            split=cell.split,
            model=job.model,
            control=job.control,
            seed=job.seed,
            explained_by=self.wanted.name(cell),
            methods=methods,
            settings={**self.wanted.settings, "versions": dict(self.wanted.versions(methods))},
            samples=found.samples,
            device=job.device,
            scores=tuple(_map_scores(tables, found.skipped)),
            provenance=without_places({**provenance(), "notes": dict(found.notes), SECONDS: seconds}),
            created=now(),
        )


def _scores(table: ExplainedTable) -> SampleScores:
    columns = {column_of(*key): np.asarray(values, dtype=np.float64) for key, values in table.columns.items()}
    return SampleScores(tuple(table.sample_ids), tuple(table.clusters), columns)


def _map_scores(tables: Mapping[str, SampleScores], skipped: Mapping[tuple[str, str], str]) -> Iterator[MapScore]:
    found: dict[tuple[str, str], dict[str, Estimate | None]] = {}
    for table, scores in tables.items():
        modality = table.partition("-")[0]
        for column, values in scores.metrics.items():
            name, _, measure = column.rpartition("|")
            found.setdefault((modality, name), {})[measure] = _estimate_of(values, scores.clusters)
    for (modality, name), metrics in found.items():
        yield MapScore(name, kind_of_map(name), modality, OK, None, metrics)
    for (name, modality), reason in skipped.items():
        yield MapScore(name, OF_METHOD, modality, SKIPPED, reason)


def _estimate_of(values: Any, clusters: Sequence[str]) -> Estimate:
    """The mean over samples with its interval."""
    mean = weighted_difference([1.0], [np.asarray(values)[None]], clusters)
    ends = mean.interval or (None, None)
    return Estimate(mean.value, ends[0], ends[1], len(values), mean.note)


def _portable(examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put pixels `[3, S, S]` into PNG files, as text."""
    from PIL import Image

    shown = []
    for example in examples:
        pixels, image = example["pixels"], None
        if pixels is not None:
            with io.BytesIO() as file:
                Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)), "RGB").save(file, "PNG")
                image = base64.b64encode(file.getvalue()).decode("ascii")
        shown.append({**{name: value for name, value in example.items() if name != "pixels"}, "image": image})
    return shown
