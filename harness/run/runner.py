"""Runs the cells that have no current record: train, predict, score, measure, write the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.cell import Cell
from harness.errors import BenchError, StoreError
from harness.inputs.golden_preprocessing import check_resizing
from harness.plan.run_plan import Environment, Plan
from harness.record import VARIANT, Efficiency, Estimate, RunRecord
from harness.records.claims import open_claims
from harness.records.conflicts import settle
from harness.records.sample_scores import write_scores
from harness.records.score_answers import answer_metrics, score_answers
from harness.records.scoring import Scoring
from harness.records.store import Store
from harness.records.table_names import outcomes_name
from harness.records.unanswered import SERVICE
from harness.records.writers import beside_other_runs
from harness.run.cell_maker import CellMaker, MadeCell, find_done
from harness.run.cell_queue import CellQueue, Room
from harness.run.cell_records import (
    absent_record,
    batch_note,
    record_of,
    skipped_note,
    smaller_batch,
    training_notes,
)
from harness.run.choose_executor import open_executor, workload_of
from harness.run.job_server import JobFailure, Workers
from harness.run.reporter import Reporter
from harness.run.stored_answers import FreshAnswers, Produced, StoredAnswers, find_answered
from harness.run.unanswered import unanswered_error, unanswered_provenance
from harness.sample import Note, Predicted, Sample, evaluated, limited
from harness.storage.portable import portable_command, scrubbed
from harness.text.error_text import error_text, named_error, traceback_text

ALONE = Workers()
"""A run with a fork server of its own, one job a core and no limit of time."""

_MANY_SAMPLES = 2000
"""Above so many a run is told how to take fewer."""


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


@dataclass(frozen=True)
class Ran:
    """The records of the cells that were missing; how many of them others have made meanwhile, and otherwise."""

    records: Sequence[RunRecord]
    found: int
    conflicts: int


def run_plan(
    plan: Plan, store: Store, environment: Environment, reporter: Reporter, workers: Workers = ALONE
) -> RunSummary:
    """Run what is missing; every planned cell has a record afterwards, or an exception says why not.

    Of 0 jobs there is one a core (on GPUs one each).
    """

    def run(pending: Sequence[Cell]) -> Ran:
        with ExitStack() as stack:
            runner = _Runner(plan, store, environment, reporter, stack, workers)
            return Ran(_run_cells(pending, runner), runner.found, runner.conflicts)

    return run_missing(plan, store, reporter, run)


def run_missing(plan: Plan, store: Store, reporter: Reporter, run: Callable[[Sequence[Cell]], Ran]) -> RunSummary:
    """Have `run` make the records that a plan has and the store has not, and count what there is then."""
    pending = [cell for cell in plan.cells if not is_done(store, cell)]
    ran = Ran((), 0, 0)
    if pending or plan.absent:
        store.require_writable()
        with beside_other_runs(store):
            for absent in plan.absent:
                record = absent_record(plan, absent)
                store.write_record(record)  # in the place of what an earlier run said
                reporter.finish(record)
            if pending:
                ran = run(pending)
    failed = sum(record.status == "failed" for record in ran.records)
    found = len(plan.cells) - len(pending)
    not_run = sum(absent.named for absent in plan.absent)
    ok = len(ran.records) - failed + found
    return RunSummary(ok, failed, len(plan.absent), found + ran.found, not_run, ran.conflicts)


def _run_cells(pending: Sequence[Cell], runner: _Runner) -> list[RunRecord]:
    """Score cells as they come out, while others are trained."""
    runner.prepare(pending)
    records = []
    with CellQueue(_free_first(pending), runner.maker, Room.of(runner.executor), runner.take) as queue:
        for cell, made in queue.made(runner.pool):
            with runner.executor.working_here():
                record = runner.keep(cell, runner.finish(cell, made))
            runner.claims.free(cell.fingerprint)
            runner.reporter.finish(record)
            records.append(record)
    return records


def _free_first(pending: Sequence[Cell]) -> list[Cell]:
    """Put what waits for no prerequisite first, beside the prerequisite's training."""
    return sorted(pending, key=lambda cell: cell.training.prerequisite is not None)


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
        executor = open_executor(workload_of(plan), workers)
        self.claims = stack.enter_context(open_claims(store))
        self.left_to_others: set[str] = set()
        # Threads only wait for jobs, and closing the executor ends these first.
        self.pool = ThreadPoolExecutor(executor.slots + len(plan.prerequisites))
        stack.callback(self.pool.shutdown, cancel_futures=True)
        self.executor = stack.enter_context(executor)
        self.maker = CellMaker(plan, store, environment, reporter, executor, self.pool)
        self.scorer = stack.enter_context(Scoring(plan.task, plan.data, environment.cache))
        self.scorer.wait_at_most(workers.timeout_s or None)
        self.signature: str | None = None
        self.samples: Sequence[Sample] = ()
        self.told_share = False
        self.ceilings: Mapping[str, Mapping[str, float]] = {}
        self.found = self.conflicts = 0

    def prepare(self, pending: Sequence[Cell]) -> None:
        """Check the metrics before anything is trained; the fork server imports meanwhile."""
        self.reporter.progress("checking preprocessing and metrics on golden vectors", 0, 0)
        check_resizing()
        self.samples = self.plan.task.samples(self.plan.data, self.plan.split)
        self.signature = self.scorer.prepare(self.samples)
        asked = limited(self.samples, self.plan.cells[0].evaluate.limit)
        self.reporter.say(_extent(len(asked), len(self.samples), self.plan))
        self.ceilings = self.plan.task.ceilings(self.plan.data, self.plan.split, asked)
        answered = find_answered(self.store, pending)
        if count := sum(cell.answers in answered for cell in pending):
            self.reporter.say(
                f"{count} of {len(pending)} cells have answered before: their stored predictions are scored anew, and "
                "nothing is trained for these."
            )
        self.maker.begin(pending, answered)

    def take(self, cell: Cell) -> bool:
        """Claim a cell, unless another run is at it, which is said once."""
        holder = None
        with suppress(StoreError, OSError):  # a claim only saves work
            holder = self.claims.take(cell.training.task, cell.fingerprint)
        if holder is not None and cell.fingerprint not in self.left_to_others:
            self.left_to_others.add(cell.fingerprint)
            self.reporter.say(f"{cell.label}: another run makes it ({holder}); others go on meanwhile.")
        return holder is None

    def finish(self, cell: Cell, made: Future[MadeCell | RunRecord]) -> RunRecord:
        """Score what was made of a cell; whatever went wrong in a job becomes a failed record."""
        try:
            found = made.result()
            if isinstance(found, RunRecord):
                return found
            return find_done(self.store, cell) or self._finish(cell, found.produced, found.efficiency)
        except JobFailure as failure:
            return failed_record(self.store, self.reporter, cell, failure)

    def keep(self, cell: Cell, record: RunRecord) -> RunRecord:
        """Write a cell's record, unless another run has left its own meanwhile: then that one stands."""
        other = find_done(self.store, cell)
        if other is None:
            try:
                self.store.write_record(record)
                return record
            except StoreError:
                other = find_done(self.store, cell)
                if other is None:
                    raise
        self.found += 1
        message, differs = settle(self.store, cell.label, record, other)
        self.conflicts += differs
        self.reporter.say(message)
        return other

    def _finish(self, cell: Cell, produced: Produced, efficiency: Efficiency) -> RunRecord:
        predicted, training = produced.predicted, produced.training
        kept = evaluated(self.samples, cell.evaluate.limit, {**predicted.skipped, **predicted.failed})
        if predicted.failed:
            return self._unanswered(cell, produced, kept)
        metrics, notes, tables = self._score(cell, kept, predicted)
        self._say_share(training.get("samples") or {})
        record = record_of(
            cell,
            status="ok",
            metrics=metrics,
            signature=self.signature,
            efficiency=replace(efficiency, train_seconds=training["seconds"] or None),
            provenance={
                **(produced.provenance() if isinstance(produced, StoredAnswers) else self._provenance(cell, produced)),
                **tables,
                "samples": {"evaluated": len(kept), "of": len(self.samples)},
                "notes": [
                    asdict(note) for note in (*training_notes(cell, training), *batch_note(cell, predicted), *notes)
                ],
            },
        )
        return replace(record, ceilings=self.ceilings)

    def _unanswered(self, cell: Cell, produced: Produced, answered: Sequence[Sample]) -> RunRecord:
        """Say of a cell some of whose samples have no answer what its metrics must lie between."""
        predicted, task = produced.predicted, cell.training.task
        self.store.write_outcomes(outcomes_name(task, cell.fingerprint), predicted.outcomes, {}, beside=True)
        assert isinstance(produced, FreshAnswers)  # stored answers are whole
        with naming_what_cannot_be_scored():
            told = unanswered_provenance(self.scorer, answered, predicted)
        return record_of(
            cell,
            status="failed",
            error=unanswered_error(predicted, len(answered) + len(predicted.failed)),
            signature=self.signature,
            provenance={
                **self._provenance(cell, produced),
                **told,
                "samples": {"evaluated": len(answered) + len(predicted.failed), "of": len(self.samples)},
            },
        )

    def _say_share(self, share: Mapping[str, int]) -> None:
        """Say once on which part of the training split models are trained, where it is not all of it."""
        if share and share["trained"] < share["of"] and not self.told_share:
            self.told_share = True
            self.reporter.say(f"Trained on {share['trained']:,} of {share['of']:,} samples (train.limit, train.shots).")

    def _score(
        self, cell: Cell, kept: Sequence[Sample], predicted: Predicted
    ) -> tuple[dict[str, Estimate | None], Sequence[Note], Mapping[str, str]]:
        self.reporter.progress(f"{cell.label}  scoring", 0, 0)
        task = cell.training.task
        try:
            with naming_what_cannot_be_scored():
                scored = score_answers(self.scorer, kept, predicted.outcomes, predicted.additive)
                metrics = answer_metrics(self.scorer, scored, self.plan.task.metrics[0], cell.evaluate.resamples)
                notes = self._notes(kept, predicted)
        except JobFailure:
            self.store.write_outcomes(outcomes_name(task, cell.fingerprint), predicted.outcomes, {}, beside=True)
            raise
        for note in notes:
            self.reporter.say(f"{cell.label}: {note}")
        return metrics, notes, write_scores(self.store, task, cell.fingerprint, scored, self.plan.task.metrics)

    def _notes(self, samples: Sequence[Sample], predicted: Predicted) -> Sequence[Note]:
        """What must be known beside a cell's numbers: images that were left out, and what the scorer has to say."""
        scorers = self.scorer.notes(samples, predicted.outcomes)
        return (*skipped_note(predicted.skipped, self.plan.split, len(samples)), *scorers)

    def _provenance(self, cell: Cell, produced: FreshAnswers) -> dict[str, Any]:
        from harness.measure.provenance import provenance

        here, training, predicted = self.environment, produced.training, produced.predicted
        return {
            **provenance(),
            "command": None if here.command is None else portable_command(here.command, here.working_directory),
            "training": {key: value for key, value in training.items() if key != "skipped"},
            "skipped_samples": {"training": training["skipped"], "evaluation": dict(predicted.skipped)},
            "preprocessing_sha256": predicted.preprocessing_hash,
            **({"checkpoint_settings": dict(brought)} if (brought := predicted.checkpoint_settings) else {}),
            **({SERVICE: dict(service)} if (service := predicted.service) else {}),
            **({VARIANT: dict(variant)} if (variant := predicted.variant) else {}),
            **({"evaluated_in_batches_of": size} if (size := smaller_batch(cell, predicted)) else {}),
        }


def failed_record(store: Store, reporter: Reporter, cell: Cell, failure: JobFailure) -> RunRecord:
    """Say of a cell why it has no numbers; a traceback goes beside the records."""
    if failure.trace:
        name = f"{cell.training.task}/failures/{cell.fingerprint}.txt"
        store.write_bytes(name, failure.trace.encode(errors="backslashreplace"))
        reporter.say(f"Traceback in {store.url}/{name}")
    if scrubbed(failure.message) != failure.message:  # the record may be shared, but whoever runs needs the place
        reporter.say(f"{cell.label}: {failure.message}")
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
    return find_done(store, cell) is not None
