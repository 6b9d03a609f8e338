"""Runs the conditions that trained models have no current score for: perturb and predict in blocks, score, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace

from harness.cell import Cell, Places
from harness.condition import Condition
from harness.jobs import named_jobs
from harness.jobs.robustness_block import FAILED, OK, SKIPPED, Answers, RobustnessBlock, Subject
from harness.plan.conditions import RobustnessPlan
from harness.plan.run_plan import Environment, Plan
from harness.protocols import HasChanceLevel, Progress
from harness.record import PerturbedScore, RobustnessRecord, now
from harness.records.sample_scores import SECONDS, TABLES, label_of, portable_score, vouched, write_scores
from harness.records.scoring import Scoring
from harness.records.shared_conditions import put_conditions
from harness.records.store import Store
from harness.records.table_names import examples_folder
from harness.records.trainings import prerequisite_folder, training_folder
from harness.records.writers import beside_other_runs
from harness.run.blocks_apart import ApartWhereItFails
from harness.run.choose_executor import open_executor, workload_of
from harness.run.condition_names import ConditionNames, kind_of, ranking_metric
from harness.run.condition_scores import MAIN, ConditionScores
from harness.run.examples import Gallery, write_examples
from harness.run.executor import JobRequest
from harness.run.job_server import Arguments, JobFailure, Result, Workers
from harness.run.lacking import Lacking, by_sharing
from harness.run.mend_checkpoints import mended_places
from harness.run.reporter import Reporter
from harness.run.runner import ALONE, is_done, naming_what_cannot_be_scored
from harness.run.spool import own_folder
from harness.run.stored_conditions import StoredConditions
from harness.sample import limited
from harness.storage.portable import scrubbed, without_places

_CONDITIONS_A_BLOCK = 12


@dataclass(frozen=True)
class RobustnessSummary:
    """How many (model, condition) pairs are now in which state, and how many were done before."""

    ok: int
    failed: int
    skipped: int
    found: int


def run_robustness(
    plan: Plan,
    sweep: RobustnessPlan,
    store: Store,
    environment: Environment,
    reporter: Reporter,
    workers: Workers = ALONE,
    *,
    with_examples: bool = True,
) -> RobustnessSummary:
    """Give each trained model of a plan a score, a reason or an error under each condition."""
    run = RobustnessRun(plan, sweep, store, environment, reporter)
    return run.run_by(lambda pending: run.do(pending, workers), with_examples=with_examples)


class RobustnessRun:
    """One task's robustness run: what is pending, the processes that answer, the scorer and the records."""

    def __init__(
        self, plan: Plan, sweep: RobustnessPlan, store: Store, environment: Environment, reporter: Reporter
    ) -> None:
        self.plan, self.sweep, self.store, self.environment, self.reporter = plan, sweep, store, environment, reporter
        limits = {sweep.options.limit, *(cell.evaluate.limit for cell in plan.cells)}
        limit = min((n for n in limits if n is not None), default=None)
        self.options = replace(sweep.options, limit=limit)
        self.scores = ConditionScores(plan, sweep, self.options, environment, reporter.progress)
        self.targets = self.scores.targets
        used = {part.name: sweep.known[part.name] for condition in sweep.conditions for part in condition.parts}
        self.names = ConditionNames.of(plan.task, used, self.options, environment.cache)
        self.lost: dict[str, JobFailure] = {}
        self.tables: dict[tuple[str, str], Mapping[str, str]] = {}  # digests, by cell and condition
        self.seconds: dict[tuple[str, str], float] = {}  # of a condition, the mean over those answered together
        self.done = self.total = 0

    def run_by(self, do: Callable[[Sequence[Lacking]], int], *, with_examples: bool = True) -> RobustnessSummary:
        """Have `do` run what is pending, which returns how many conditions could not be; leave examples, and count."""
        cells = [cell for cell in self.plan.cells if is_done(self.store, cell)]
        if not cells:
            return RobustnessSummary(0, 0, 0, 0)
        pending, lost = self.pending(cells), 0
        with ExitStack() as stack:
            if pending:
                self.store.require_writable()
                stack.enter_context(beside_other_runs(self.store))
                lost = do(pending)
            folder = examples_folder(self.plan.task.name, self.plan.data.digest, self.plan.split)
            if with_examples and (pending or not self.store.exists(f"{folder}/index.json")):
                self.write_examples()
        summary = self.summary(cells, sum(len(lacking.conditions) for lacking in pending))
        return replace(summary, failed=summary.failed + lost)

    def pending(self, cells: Sequence[Cell]) -> list[Lacking]:
        """Find what has no current score."""
        found = []
        for cell in cells:
            current = {score.fingerprint for score in self._scores(cell) if score.status != FAILED}
            missing = [c for c in self.sweep.conditions if self._fingerprint(cell, c) not in current]
            if missing:
                found.append(Lacking(cell, missing))
        return found

    def do(self, pending: Sequence[Lacking], workers: Workers) -> int:
        """Answer and score everything that is pending; shifts are scored last, each with its own references.

        What goes wrong is recorded of its condition: returns 0.
        """
        with ExitStack() as stack:
            self._do(pending, workers, stack)
        return 0

    def _do(self, pending: Sequence[Lacking], workers: Workers, stack: ExitStack) -> None:
        self.spool = stack.enter_context(own_folder(self.environment.cache / "sweeps"))
        executor = open_executor(workload_of(self.plan), workers)
        pool = ThreadPoolExecutor(executor.slots)  # its threads only wait for jobs: closing the executor ends these
        stack.callback(pool.shutdown, cancel_futures=True)
        self.executor = stack.enter_context(executor)
        pending, recalled = self._recall(pending)
        blocks = self._blocks(pending, executor.slots)
        self.total = sum(len(lacking.conditions) for lacking in pending)
        apart = ApartWhereItFails(self._answer, self.lost, self.reporter.say)
        started = {pool.submit(apart.run, block): block for block in blocks}
        started |= {pool.submit(list, (block,)): block for block in recalled}
        self._score_all(started, workers)

    def summary(self, cells: Sequence[Cell], pending: int) -> RobustnessSummary:
        """Count the states of all pairs of the plan."""
        states = []
        for cell in cells:
            wanted = {self._fingerprint(cell, condition) for condition in self.sweep.conditions}
            states += [score.status for score in self._scores(cell) if score.fingerprint in wanted]
        return RobustnessSummary(
            states.count(OK),
            states.count(FAILED),
            states.count(SKIPPED),
            len(cells) * len(self.sweep.conditions) - pending,
        )

    def _recall(self, pending: Sequence[Lacking]) -> tuple[list[Lacking], list[RobustnessBlock]]:
        """Put what was answered before into the spool, as if it had been now; says what is still to be answered.

        Answers to other classes are stored as they were translated, so those are asked for again.
        """
        stored = StoredConditions(self.store, [lacking.cell for lacking in pending])
        left, recalled = [], []
        for lacking in pending:
            subject = Subject(lacking.cell, self._places(lacking.cell))
            known = []
            for condition in lacking.conditions:
                answers = stored.recall(self._answers_of(lacking.cell, condition))
                if answers is not None and self.targets[condition.split_key].columns is None:
                    known.append(condition)
                    answers.write(self._block((subject,), condition.split_key, ()).file(subject, condition))
            for key in dict.fromkeys(condition.split_key for condition in known):
                of_split = tuple(condition for condition in known if condition.split_key == key)
                recalled.append(self._block((subject,), key, of_split))
            if missing := [condition for condition in lacking.conditions if condition not in known]:
                left.append(Lacking(lacking.cell, missing))
        if count := sum(len(block.conditions) for block in recalled):
            self.reporter.say(f"{count} conditions were answered before: their stored answers are scored anew.")
        return left, recalled

    def _places(self, cell: Cell) -> Places:
        job = cell.training
        folder, _ = training_folder(job, self.store, self.environment.cache)
        return Places(self.environment.cache, folder, prerequisite_folder(job, self.environment.cache))

    def _subject(self, cell: Cell) -> Subject:
        """Say where a cell's checkpoint lies; trains it again where only its record is left."""
        places = self._places(cell)
        try:
            mended_places(cell, places, self.plan, self.executor, self.reporter)
        except JobFailure as failure:
            self.lost[cell.fingerprint] = failure
        return Subject(cell, places)

    def _block(self, subjects: Sequence[Subject], shift: str, conditions: Sequence[Condition]) -> RobustnessBlock:
        target = self.targets[shift]
        return RobustnessBlock(
            tuple(subjects), tuple(conditions), target.data, target.split, options=self.options, spool=self.spool
        )

    def _blocks(self, pending: Sequence[Lacking], workers: int) -> list[RobustnessBlock]:
        """Cut the work: models that lack the same conditions of one target share their images."""
        subjects = [self._subject(lacking.cell) for lacking in pending]
        blocks = []
        for (shift, sharing), conditions in by_sharing(pending).items():
            first = self._block([subjects[position] for position in sharing], shift, ())
            count = max(min(workers, len(conditions)), math.ceil(len(conditions) / _CONDITIONS_A_BLOCK))
            # Every count-th one, so that mild and strong, cheap and costly ones are mixed.
            blocks += [replace(first, conditions=tuple(conditions[start::count])) for start in range(count)]
        return blocks

    def _answer(self, block: RobustnessBlock) -> None:
        before, began = 0, time.monotonic()

        def progress(what: str, done: int, total: int) -> None:
            nonlocal before
            if what == "answered":
                self.done += (done - before) * len(block.subjects)
                before = done
                self.reporter.progress(f"perturbing for {self.plan.task.name}", self.done, self.total)
            else:
                self.reporter.progress(what, done, total)

        self._job(self.plan.task.name, named_jobs.answer_conditions, (block,), progress)
        pairs = [(subject.cell.fingerprint, c.label) for subject in block.subjects for c in block.conditions]
        self.seconds |= dict.fromkeys(pairs, round((time.monotonic() - began) / len(pairs), 4))

    def _job(
        self,
        label: str,
        job: Callable[[*Arguments, Progress], Result],
        arguments: tuple[*Arguments],
        progress: Progress,
    ) -> None:
        self.executor.submit(job, arguments, JobRequest(label, progress, self.plan.devices.kind)).result()

    def _score_all(self, started: Mapping[Future[list[RobustnessBlock]], RobustnessBlock], workers: Workers) -> None:
        """Score blocks as they come; those of shifts wait until the references of the main split are done with."""
        with Scoring(self.plan.task, self.plan.data, self.environment.cache) as scorer:
            scorer.wait_at_most(workers.timeout_s or None)
            signature = self.scores.prepare(scorer, MAIN)
            waiting: dict[str, list[RobustnessBlock]] = {}
            for future in as_completed(started):
                for block in future.result():
                    shift = block.conditions[0].split_key
                    if shift == MAIN:
                        self._score_block(block, scorer, signature)
                    else:
                        waiting.setdefault(shift, []).append(block)
            own = {name: blocks for name, blocks in waiting.items() if self._is_own(name)}
            for shift, blocks in own.items():
                self.scores.prepare(scorer, shift)
                for block in blocks:
                    self._score_block(block, scorer, signature)
        for shift in waiting.keys() - own.keys():
            with Scoring(self.plan.task, self.targets[shift].data, self.environment.cache) as scorer:
                scorer.wait_at_most(workers.timeout_s or None)
                self.scores.prepare(scorer, shift)
                for block in waiting[shift]:
                    self._score_block(block, scorer, signature)

    def write_examples(self) -> None:
        """Leave a few images for the report, with the answers of the first seed's models."""
        spec = self.plan.task.spec(self.plan.data, ())
        gallery = Gallery(
            data=self.plan.data,
            split=self.plan.split,
            decoded_images=self.scores.decoded_images(),
            conditions=self.sweep.conditions,
            known=self.sweep.known,
            seed=self.options.seed,
            spec=spec,
            moved=lambda sample, condition: self.scores.moved([sample], condition)[0],
        )
        first = [cell for cell in self.plan.cells if (cell.training.seed, cell.training.control) == (0, None)]
        models = {cell.model: cell.fingerprint for cell in first}
        write_examples(self.store, self.plan.task.name, gallery, models)

    def _is_own(self, shift: str) -> bool:
        return self.targets[shift].data.digest == self.plan.data.digest

    def _score_block(self, block: RobustnessBlock, scorer: Scoring, signature: str) -> None:
        """Score what a block left in the spool, one file at a time, and write each model's record."""
        for subject in block.subjects:
            scores = []
            for condition in block.conditions:
                path = block.file(subject, condition)
                scores.append(self._score(subject.cell, condition, Answers.read(path), scorer))
                path.unlink()
            self._record(subject.cell, scores, signature)

    def _score(self, cell: Cell, condition: Condition, answers: Answers, scorer: Scoring) -> PerturbedScore:
        score = self._empty_score(cell, condition, answers)
        self._keep_traceback(cell, condition, answers.error, answers.trace)
        if answers.status != OK:
            return score
        try:
            with naming_what_cannot_be_scored():
                scored, metrics = self.scores.score(condition, answers.answers, scorer, cell.evaluate.resamples)
        except JobFailure as failure:
            self._keep_traceback(cell, condition, failure.message, failure.trace)
            return replace(score, status=FAILED, error=failure.message, notes={})
        first = [name for name in self.plan.task.metrics if scored.statistics.get(name) is not None][:1]
        own = write_scores(self.store, cell.training.task, cell.fingerprint, scored, first, condition.label)
        self.tables[cell.fingerprint, condition.label] = own
        return replace(score, metrics=metrics)

    def _keep_traceback(self, cell: Cell, condition: Condition, error: str | None, trace: str | None) -> None:
        if trace:
            name = f"{cell.training.task}/failures/{cell.fingerprint}-{condition.label}.txt"
            self.store.write_bytes(name, trace.encode(errors="backslashreplace"))
            self.reporter.say(f"{cell.label} {condition.label}: {error} Traceback in {self.store.url}/{name}")
        elif error and scrubbed(error) != error:  # the record may be shared, but whoever runs needs the place
            self.reporter.say(f"{cell.label} {condition.label}: {error}")

    def _empty_score(self, cell: Cell, condition: Condition, answers: Answers) -> PerturbedScore:
        family, modality = kind_of(condition, self.sweep.known)
        return PerturbedScore(
            fingerprint=self._fingerprint(cell, condition),
            perturbation=condition.name,
            severity=condition.severity,
            family=family,
            modality=modality,
            status=answers.status,
            error=answers.error,
            notes=answers.notes,
            answers=self._answers_of(cell, condition),
        )

    def _record(self, cell: Cell, scores: Sequence[PerturbedScore], signature: str) -> None:
        """Put new scores into a model's record; those of other settings stay out of it."""
        from harness.measure.provenance import provenance

        made, fresh, job = provenance(), {label_of(score) for score in scores}, cell.training
        task, target = self.plan.task, self.targets[MAIN]
        samples = limited(self.scores.samples[MAIN], self.options.limit)

        def build(former: RobustnessRecord | None) -> RobustnessRecord:
            old = [score for score in self._current(former) if label_of(score) not in fresh]
            kept = {label_of(score): vouched(former, label_of(score)) for score in old if former is not None}
            tables = kept | {label: self.tables.get((cell.fingerprint, label), {}) for label in fresh}
            spent = {} if former is None else {**former.provenance.get(SECONDS, {})}
            took = {label: self.seconds.get((cell.fingerprint, label)) for label in fresh}  # others are still written
            spent |= {label: seconds for label, seconds in took.items() if seconds is not None}
            ordered = sorted([*old, *scores], key=lambda s: (s.family, s.perturbation, s.severity))
            return RobustnessRecord(
                fingerprint=cell.fingerprint,
                task=job.task,
                data=target.data.name,
                data_digest=target.data.digest,
                split=target.split,
                model=cell.model,
                control=job.control,
                seed=job.seed,
                metric=ranking_metric(task.metrics, [*old, *scores]),
                signature=signature,
                chance=task.chance(target.data, samples) if isinstance(task, HasChanceLevel) else 0.0,
                limit=self.options.limit,
                shortest_px=self.options.shortest_px,
                device=job.device,
                scores=tuple(map(portable_score, ordered)),
                provenance=without_places(
                    {**made, TABLES: {label: own for label, own in tables.items() if own}, SECONDS: spent}
                ),
                created=now(),
            )

        put_conditions(self.store, job.task, cell.fingerprint, build)

    def _scores(self, cell: Cell) -> Sequence[PerturbedScore]:
        """Read the scores of a model that were made with these options."""
        return self._current(self.store.find_robustness(cell.training.task, cell.fingerprint))

    def _current(self, record: RobustnessRecord | None) -> Sequence[PerturbedScore]:
        if record is None or (record.limit, record.shortest_px) != (self.options.limit, self.options.shortest_px):
            return ()
        return record.scores

    def _fingerprint(self, cell: Cell, condition: Condition) -> str:
        return self.names.score(cell, condition, self.targets[condition.split_key])

    def _answers_of(self, cell: Cell, condition: Condition) -> str:
        return self.names.answers(cell, condition, self.targets[condition.split_key])
