"""Has cells trained, answered and measured: the jobs of a cell, one after the other, on whatever executor runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from harness.cell import Cell, EvaluateOptions, Places, TrainingJob
from harness.errors import StoreError
from harness.files import one_at_a_time
from harness.jobs import named_jobs
from harness.plan.run_plan import Environment, Plan
from harness.protocols import Progress
from harness.record import Efficiency, RunRecord
from harness.records.store import Store
from harness.records.trainings import SUMMARY, state_url, training_folder, upload_training, why_unusable
from harness.run.executor import Executor, JobRequest
from harness.run.job_server import KILLED, Arguments, JobFailure, Result
from harness.run.reporter import Reporter
from harness.run.stored_answers import FreshAnswers, Produced, StoredAnswers, read_stored

_BEFORE_CELLS = -1
"""What others build on comes before all cells."""


@dataclass(frozen=True)
class MadeCell:
    """What a cell has answered, and what that cost."""

    produced: Produced
    efficiency: Efficiency


def find_done(store: Store, cell: Cell) -> RunRecord | None:
    """Find the record of a cell that stands: that of one that failed does not."""
    record = store.find_record(cell.training.task, cell.fingerprint)
    return record if record is not None and record.status == "ok" else None


class CellMaker:
    """Makes the cells of a plan. What others build on is trained from threads of `pool`, which only wait for jobs."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        environment: Environment,
        reporter: Reporter,
        executor: Executor,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._plan, self._store, self._environment, self._reporter = plan, store, environment, reporter
        self._executor, self._pool = executor, pool
        self._places = {cell.label: place for place, cell in enumerate(plan.cells)}
        self._prerequisites: dict[str, Future[Path]] = {}
        self._lock = Lock()
        self._answered: Mapping[str, RunRecord] = {}

    def begin(self, pending: Sequence[Cell], answered: Mapping[str, RunRecord]) -> None:
        """Take in the records of what was `answered` before, and begin to train what the other cells build on."""
        self._answered = answered
        for cell in pending:
            if cell.training.prerequisite is not None and cell.answers not in answered:
                self._prerequisite(cell.training.prerequisite)

    def is_ready(self, cell: Cell) -> bool:
        """Whether nothing that the cell builds on is still being trained."""
        name = cell.training.prerequisite
        return name is None or cell.answers in self._answered or self._prerequisite(name).done()

    def make(self, cell: Cell) -> Future[MadeCell | RunRecord]:
        """Train and predict a cell, or read what it has answered before; the future waits until it is measured.

        Of a cell that another run has finished meanwhile it has the record. Raises JobFailure for what goes wrong in a
        job.
        """
        made: Future[MadeCell | RunRecord] = Future()
        if (record := find_done(self._store, cell)) is not None:
            made.set_result(record)
            return made
        produced = self._produce(cell)

        def settle(measured: Future[Efficiency]) -> None:
            if (error := measured.exception()) is not None:
                made.set_exception(error)
            else:
                made.set_result(MadeCell(produced, measured.result()))

        self._efficiency(cell, produced).add_done_callback(settle)
        return made

    def _produce(self, cell: Cell) -> Produced:
        if (record := self._answered.get(cell.answers)) is not None:
            try:
                with self._executor.working_here():
                    return read_stored(self._store, record)
            except StoreError as error:
                self._reporter.say(f"{cell.label}: {error} Predicting again.")
        places = self._train(cell.training, cell.label)
        predicted = self._with_less_memory(
            cell.label,
            lambda smaller: self._job(
                cell.label, named_jobs.predict, replace(cell, evaluate=_smaller_batch(cell, smaller)), places
            ),
        )
        return FreshAnswers(places, predicted)

    def _efficiency(self, cell: Cell, produced: Produced) -> Future[Efficiency]:
        """Measure a cell, unless that was done before, or it runs elsewhere."""
        if service := produced.predicted.service:
            served: Future[Efficiency] = Future()
            served.set_result(Efficiency(notes={"not_measured": f"answered by {service['host']}"}))
            return served
        if isinstance(produced, StoredAnswers):
            if (known := produced.efficiency(cell)) is not None:
                found: Future[Efficiency] = Future()
                found.set_result(known)
                return found
            produced = FreshAnswers(self._train(cell.training, cell.label), produced.predicted)
        return self._executor.submit(
            named_jobs.profile, (cell, produced.places), replace(self._request(cell.label), alone=True)
        )

    def _train(self, job: TrainingJob, label: str) -> Places:
        """Train a job unless its training is there; its prerequisite first."""
        prerequisite = None
        if job.prerequisite is not None:
            prerequisite = self._prerequisite(job.prerequisite).result()
        folder, finished = training_folder(job, self._store, self._environment.cache)
        places = Places(
            self._environment.cache, folder, prerequisite, self._plan.keep_every_s, state_url(job, self._store)
        )
        if not finished:
            with one_at_a_time(folder / SUMMARY, self._waiting_for(label)):  # another run may be at it
                if not training_folder(job, self._store, self._environment.cache)[1]:
                    self._train_in(places, job, label)
        return places

    def _train_in(self, places: Places, job: TrainingJob, label: str) -> None:
        self._with_less_memory(
            label,
            lambda smaller: self._job(
                label, named_jobs.train if smaller == 1 else named_jobs.train_in_parts, job, places
            ),
        )
        with self._executor.working_here():
            upload_training(job, places.training, self._store)

    def _prerequisite(self, fingerprint: str) -> Future[Path]:
        """Give the folder of a trained prerequisite; it is trained once, and a failure is met by all that need it."""
        with self._lock:
            if fingerprint not in self._prerequisites:
                self._prerequisites[fingerprint] = self._pool.submit(self._trained_prerequisite, fingerprint)
            return self._prerequisites[fingerprint]

    def _trained_prerequisite(self, fingerprint: str) -> Path:
        folder = self._environment.cache / "prerequisites" / fingerprint
        model = self._plan.prerequisites[fingerprint].model
        with one_at_a_time(folder / SUMMARY, self._waiting_for(model)):  # other runs may have this cache
            if reason := why_unusable(folder):
                if (folder / SUMMARY).is_file():
                    self._reporter.say(f"{reason}: training it again.")
                self._train_prerequisite(fingerprint, folder)
        return folder

    def _train_prerequisite(self, fingerprint: str, folder: Path) -> None:
        job = self._plan.prerequisites[fingerprint]
        self._reporter.say(f"Training {job.model} on {job.data.name} once; it is cached for later runs.")
        try:
            places = Places(self._environment.cache, folder, None, self._plan.keep_every_s)
            self._job(job.model, named_jobs.train, job, places)
        except JobFailure as failure:
            raise JobFailure(f"Its prerequisite {job.model} failed: {failure.message}", "prerequisite") from None

    def _waiting_for(self, what: str) -> Callable[[], None]:
        return lambda: self._reporter.say(f"{what}: another run trains it; waiting for that.")

    def _job(self, label: str, job: Callable[[*Arguments, Progress], Result], *arguments: *Arguments) -> Result:
        return self._executor.submit(job, arguments, self._request(label)).result()

    def _request(self, label: str) -> JobRequest:
        def progress(what: str, done: int, total: int) -> None:
            self._reporter.progress(f"{label}  {what}", done, total)

        return JobRequest(label, progress, self._plan.devices.kind, order=self._places.get(label, _BEFORE_CELLS))

    def _with_less_memory(self, label: str, attempt: Callable[[int], Result]) -> Result:
        """Try at full size; when the system killed the job, once more at a quarter, and say so.

        What it was trained or predicted in stands in its record too.
        """
        try:
            return attempt(1)
        except JobFailure as failure:
            if failure.kind != KILLED or "SIGKILL" not in failure.message:
                raise
            self._reporter.say(f"{label}: {failure.message} Retrying with a quarter of the batch.")
            return attempt(4)


def _smaller_batch(cell: Cell, factor: int) -> EvaluateOptions:
    return replace(cell.evaluate, batch_size=max(1, cell.evaluate.batch_size // factor))
