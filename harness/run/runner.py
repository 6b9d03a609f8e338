"""Runs the cells that have no current record: train, predict, score, measure, write the record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from harness.cell import Cell, Places, TrainingJob
from harness.errors import BenchError, StoreError
from harness.inputs.golden_preprocessing import check_resizing
from harness.jobs import named_jobs
from harness.plan.plugins import load_model, package_of
from harness.plan.run_plan import Environment, Plan
from harness.protocols import Progress
from harness.record import Efficiency, Estimate, RunRecord
from harness.records.conflicts import settle
from harness.records.sample_scores import table_digests, write_scores
from harness.records.score_answers import answer_metrics, score_answers
from harness.records.scoring import Scoring
from harness.records.store import Store, only_one, outcomes_name
from harness.records.trainings import SUMMARY, training_folder, upload_training, why_unusable
from harness.run.cell_records import absent_record, record_of, skipped_note, training_notes
from harness.run.job_server import KILLED, Arguments, JobFailure, JobServer, Result, Workers
from harness.run.stored_answers import FreshAnswers, Produced, StoredAnswers, find_answered, read_stored
from harness.sample import Note, Predicted, Sample, evaluated, limited
from harness.storage.portable import portable_command, scrubbed
from harness.text.error_text import error_text, named_error, traceback_text

ALONE = Workers()
"""A run with a fork server of its own, one job a core and no limit of time."""

_MANY_SAMPLES = 2000
"""Above so many a run is told how to take fewer."""


class Reporter(Protocol):
    """Whom a run tells what it is doing."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A part of it has come so far."""
        ...

    def say(self, message: str) -> None:
        """Something that the user must read."""
        ...

    def finish(self, record: RunRecord) -> None:
        """A cell has left its record."""
        ...


@dataclass(frozen=True)
class RunSummary:
    """How many of the planned cells are now in which state, and how many were done before.

    `not_run` are those of the skipped ones whose model was asked for by name; `conflicts` those that another run has
    finished at the same time with another result.
    """

    ok: int
    failed: int
    skipped: int
    found: int
    not_run: int = 0
    conflicts: int = 0


def run_plan(
    plan: Plan, store: Store, environment: Environment, reporter: Reporter, workers: Workers = ALONE
) -> RunSummary:
    """Run what is missing; every planned cell has a record afterwards, or an exception says why not.

    Of 0 workers there is one a core (one in all on an accelerator).
    """
    pending = [cell for cell in plan.cells if not is_done(store, cell)]
    with ExitStack() as stack:
        if pending or plan.absent:
            store.require_writable()
            stack.enter_context(only_one(store))
        for absent in plan.absent:
            record = absent_record(plan, absent)
            store.write_record(record)  # in the place of what an earlier run said
            reporter.finish(record)
        records, meanwhile, conflicts = [], 0, 0
        if pending:
            runner = _Runner(plan, store, environment, reporter, stack, workers)
            records = _run_cells(pending, runner, workers.jobs)
            meanwhile, conflicts = runner.found, runner.conflicts
    failed = sum(record.status == "failed" for record in records)
    found = len(plan.cells) - len(pending)
    not_run = sum(absent.named for absent in plan.absent)
    return RunSummary(len(records) - failed + found, failed, len(plan.absent), found + meanwhile, not_run, conflicts)


def _run_cells(pending: Sequence[Cell], runner: _Runner, jobs: int) -> list[RunRecord]:
    """Train and predict a few cells side by side, then measure each of them with the machine to itself."""
    runner.prepare(pending)
    workers = jobs or jobs_at_once(pending[0].training)
    records = []
    waiting: list[Future[Any]] = runner.start_prerequisites(pending)
    for window in _windows(pending, workers):
        started = [runner.start(cell) for cell in window]
        wait([*waiting, *started])
        waiting = []
        for cell, produced in zip(window, started, strict=True):
            record = runner.finish(cell, produced)
            record = runner.keep(cell, record)
            runner.reporter.finish(record)
            records.append(record)
    return records


def _windows(pending: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
    """Cut into parts; cells that wait for no prerequisite come first, beside the prerequisite's training."""
    free = [cell for cell in pending if cell.training.prerequisite is None]
    bound = [cell for cell in pending if cell.training.prerequisite is not None]
    for part in (free, bound):
        for start in range(0, len(part), size):
            yield part[start : start + size]


def jobs_at_once(job: TrainingJob) -> int:
    """One job a core, or one in all on an accelerator."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // job.train.threads) if job.device == "cpu" else 1


class _Runner:
    """What cells of a run share: the fork server and the scorer, started when first needed."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        environment: Environment,
        reporter: Reporter,
        stack: ExitStack,
        workers: Workers,
    ) -> None:
        self.plan, self.store, self.environment, self.reporter = plan, store, environment, reporter
        self.pool = ThreadPoolExecutor(64)  # threads only wait for jobs; closing the server ends these first
        stack.callback(self.pool.shutdown, cancel_futures=True)
        models = {cell.training.model for cell in plan.cells}
        packages = {package_of(plan.task), *(package_of(load_model(name)) for name in models)}
        self.server = stack.enter_context(JobServer(packages, workers))
        self.scorer = stack.enter_context(Scoring(plan.task, plan.data, environment.cache))
        self.scorer.wait_at_most(workers.timeout_s or None)
        self.signature: str | None = None
        self.samples: Sequence[Sample] = ()
        self.told_share = False
        self.ceilings: Mapping[str, Mapping[str, float]] = {}
        self.failed_prerequisites: dict[str, str] = {}
        self.found = self.conflicts = 0
        self.prerequisite_lock = Lock()
        self.answered: Mapping[str, RunRecord] = {}

    def prepare(self, pending: Sequence[Cell]) -> None:
        """Check the metrics before anything is trained; the fork server imports meanwhile."""
        self.reporter.progress("checking preprocessing and metrics on golden vectors", 0, 0)
        check_resizing()
        self.samples = self.plan.task.samples(self.plan.data, self.plan.split)
        self.signature = self.scorer.prepare(self.samples)
        asked = limited(self.samples, self.plan.cells[0].evaluate.limit)
        self.reporter.say(_extent(len(asked), len(self.samples), self.plan))
        self.ceilings = self.plan.task.ceilings(self.plan.data, self.plan.split, asked)
        self.answered = find_answered(self.store, pending)
        if count := sum(cell.answers in self.answered for cell in pending):
            self.reporter.say(
                f"{count} of {len(pending)} cells have answered before: their stored predictions are scored anew, and "
                "nothing is trained for these."
            )

    def start_prerequisites(self, pending: Sequence[Cell]) -> list[Future[Any]]:
        """Begin to train what the cells build on; a failure is met again by those that need it."""
        wanted = dict.fromkeys(cell.training.prerequisite for cell in pending if cell.answers not in self.answered)
        return [self.pool.submit(self._prerequisite, name) for name in wanted if name is not None]

    def start(self, cell: Cell) -> Future[Produced]:
        """Begin to train and predict a cell, or read what it has answered before."""
        return self.pool.submit(self._produce, cell)

    def finish(self, cell: Cell, produced: Future[Produced]) -> RunRecord:
        """Score and measure what `start` produced; whatever went wrong in a job becomes a failed record."""
        try:
            found = produced.result()
            return self._made_elsewhere(cell) or self._finish(cell, found)
        except JobFailure as failure:
            return self._failed(cell, failure)

    def keep(self, cell: Cell, record: RunRecord) -> RunRecord:
        """Write a cell's record, unless another run has left its own meanwhile: then that one stands."""
        other = self._made_elsewhere(cell)
        if other is None:
            try:
                self.store.write_record(record)
                return record
            except StoreError:
                other = self._made_elsewhere(cell)
                if other is None:
                    raise
        self.found += 1
        message, differs = settle(self.store, cell.label, record, other)
        self.conflicts += differs
        self.reporter.say(message)
        return other

    def _made_elsewhere(self, cell: Cell) -> RunRecord | None:
        """Find what another run has made of a cell meanwhile; a folder has a lock that keeps it out, a URL has none."""
        if self.store.local is not None:
            return None
        record = self.store.find_record(cell.training.task, cell.fingerprint)
        return record if record is not None and record.status == "ok" else None

    def _produce(self, cell: Cell) -> Produced:
        if (record := self.answered.get(cell.answers)) is not None:
            try:
                return read_stored(self.store, record)
            except StoreError as error:
                self.reporter.say(f"{cell.label}: {error} Predicting again.")
        places = self._train(cell.training, cell.label)
        predicted = self._with_less_memory(
            lambda smaller: self._job(
                cell.label, named_jobs.predict, replace(cell, evaluate=_smaller_batch(cell, smaller)), places
            )
        )
        return FreshAnswers(places, predicted)

    def _finish(self, cell: Cell, produced: Produced) -> RunRecord:
        predicted, training = produced.predicted, produced.training
        kept = evaluated(self.samples, cell.evaluate.limit, predicted.skipped)
        metrics, notes = self._score(cell, kept, predicted)
        efficiency = self._efficiency(cell, produced)
        self._say_share(training.get("samples") or {})
        record = record_of(
            cell,
            status="ok",
            metrics=metrics,
            signature=self.signature,
            efficiency=replace(efficiency, train_seconds=training["seconds"] or None),
            provenance={
                **(produced.provenance() if isinstance(produced, StoredAnswers) else self._provenance(cell, produced)),
                **table_digests(self.store, cell.training.task, cell.fingerprint),
                "samples": {"evaluated": len(kept), "of": len(self.samples)},
                "notes": [asdict(note) for note in (*training_notes(cell, training), *notes)],
            },
        )
        return replace(record, ceilings=self.ceilings)

    def _say_share(self, share: Mapping[str, int]) -> None:
        """Say once on which part of the training split models are trained, where it is not all of it."""
        if share and share["trained"] < share["of"] and not self.told_share:
            self.told_share = True
            self.reporter.say(f"Trained on {share['trained']:,} of {share['of']:,} samples (train.limit).")

    def _train(self, job: TrainingJob, label: str) -> Places:
        """Train a job unless its training is there; its prerequisite first."""
        prerequisite = None
        if job.prerequisite is not None:
            prerequisite = self._prerequisite(job.prerequisite)
        folder, finished = training_folder(job, self.store, self.environment.cache)
        places = Places(self.environment.cache, folder, prerequisite)
        if not finished:
            self._with_less_memory(
                lambda smaller: self._job(
                    label, named_jobs.train if smaller == 1 else named_jobs.train_in_parts, job, places
                )
            )
            upload_training(job, folder, self.store)
        return places

    def _prerequisite(self, fingerprint: str) -> Path:
        """Give the folder of a trained prerequisite; whoever comes first trains it, the others wait."""
        folder = self.environment.cache / "prerequisites" / fingerprint
        with self.prerequisite_lock:
            if fingerprint in self.failed_prerequisites:
                raise JobFailure(self.failed_prerequisites[fingerprint], "prerequisite")
            if reason := why_unusable(folder):
                if (folder / SUMMARY).is_file():
                    self.reporter.say(f"{reason}: training it again.")
                self._train_prerequisite(fingerprint, folder)
        return folder

    def _train_prerequisite(self, fingerprint: str, folder: Path) -> None:
        job = self.plan.prerequisites[fingerprint]
        self.reporter.say(f"Training {job.model} on {job.data.name} once; it is cached for later runs.")
        try:
            self._job(job.model, named_jobs.train, job, Places(self.environment.cache, folder, None))
        except JobFailure as failure:
            message = f"Its prerequisite {job.model} failed: {failure.message}"
            self.failed_prerequisites[fingerprint] = message
            raise JobFailure(message, failure.kind, failure.trace) from None

    def _job(self, label: str, job: Callable[[*Arguments, Progress], Result], *arguments: *Arguments) -> Result:
        def progress(what: str, done: int, total: int) -> None:
            self.reporter.progress(f"{label}  {what}", done, total)

        return self.server.run(job, arguments, progress)

    def _with_less_memory(self, attempt: Callable[[int], Result]) -> Result:
        """Try at full size; when the system killed the job, once more at a quarter, and say so."""
        try:
            return attempt(1)
        except JobFailure as failure:
            if failure.kind != KILLED or "SIGKILL" not in failure.message:
                raise
            self.reporter.say(f"{failure.message} Retrying with a quarter of the batch.")
            return attempt(4)

    def _score(
        self, cell: Cell, kept: Sequence[Sample], predicted: Predicted
    ) -> tuple[dict[str, Estimate | None], Sequence[Note]]:
        self.reporter.progress(f"{cell.label}  scoring", 0, 0)
        try:
            with naming_what_cannot_be_scored():
                scored = score_answers(self.scorer, kept, predicted.outcomes, predicted.additive)
                metrics = answer_metrics(self.scorer, scored, self.plan.task.metrics[0], cell.evaluate.resamples)
                notes = self._notes(kept, predicted)
        except JobFailure:
            self.store.write_outcomes(outcomes_name(cell.training.task, cell.fingerprint), predicted.outcomes, {})
            raise
        for note in notes:
            self.reporter.say(f"{cell.label}: {note}")
        write_scores(self.store, cell.training.task, cell.fingerprint, scored, self.plan.task.metrics)
        return metrics, notes

    def _notes(self, samples: Sequence[Sample], predicted: Predicted) -> Sequence[Note]:
        """What must be known beside a cell's numbers: images that were left out, and what the scorer has to say."""
        scorers = self.scorer.notes(samples, predicted.outcomes)
        return (*skipped_note(predicted.skipped, self.plan.split, len(samples)), *scorers)

    def _efficiency(self, cell: Cell, produced: Produced) -> Efficiency:
        """Measure a cell, unless that was done before."""
        if isinstance(produced, StoredAnswers):
            if (known := produced.efficiency(cell)) is not None:
                return known
            produced = FreshAnswers(self._train(cell.training, cell.label), produced.predicted)
        return self._job(cell.label, named_jobs.profile, cell, produced.places)

    def _provenance(self, cell: Cell, produced: FreshAnswers) -> dict[str, Any]:
        from harness.measure.provenance import provenance

        here, training, predicted = self.environment, produced.training, produced.predicted
        return {
            **provenance(),
            "command": None if here.command is None else portable_command(here.command, here.working_directory),
            "training": {key: value for key, value in training.items() if key != "skipped"},
            "skipped_samples": {"training": training["skipped"], "evaluation": dict(predicted.skipped)},
            "preprocessing_sha256": predicted.preprocessing_hash,
        }

    def _failed(self, cell: Cell, failure: JobFailure) -> RunRecord:
        if failure.trace:
            name = f"{cell.training.task}/failures/{cell.fingerprint}.txt"
            self.store.write_bytes(name, failure.trace.encode(errors="backslashreplace"))
            self.reporter.say(f"Traceback in {self.store.url}/{name}")
        if scrubbed(failure.message) != failure.message:  # the record may be shared, but whoever runs needs the place
            self.reporter.say(f"{cell.label}: {failure.message}")
        return record_of(cell, status="failed", error=failure.message)


@contextmanager
def naming_what_cannot_be_scored() -> Iterator[None]:
    """Turn what goes wrong while a cell is scored into its own failure: the others are none of its business."""
    try:
        yield
    except (JobFailure, StoreError):
        raise
    except BenchError as error:
        raise JobFailure(error_text(error), type(error).__name__) from None
    except Exception as error:
        message = f"The predictions cannot be scored: {named_error(error)}"
        raise JobFailure(message, type(error).__name__, traceback_text()) from None


def _extent(asked: int, total: int, plan: Plan) -> str:
    """Say on how many samples each cell is evaluated, and how to take fewer where that may take long."""
    if asked < total:
        return f"Evaluated on the first {asked:,} of {total:,} samples of {plan.split}."
    hint = " --limit N takes the first N." if total > _MANY_SAMPLES else ""
    return f"Evaluated on all {total:,} samples of {plan.split}.{hint}"


def is_done(store: Store, cell: Cell) -> bool:
    """Whether a cell has a record that stands."""
    record = store.find_record(cell.training.task, cell.fingerprint)
    return record is not None and record.status == "ok"


def _smaller_batch(cell: Cell, factor: int) -> Any:
    return replace(cell.evaluate, batch_size=max(1, cell.evaluate.batch_size // factor))
