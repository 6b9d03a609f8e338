"""Runs the conditions that trained models have no current score for: perturb and predict in blocks, score, record."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.cell import Cell, Places, fingerprint_of
from harness.condition import SHIFT, Condition
from harness.inputs.decoded_images import DecodedImages, open_decoded_images
from harness.inputs.perturbed_inputs import affine_for, image_key, part_for
from harness.jobs.robustness_block import FAILED, OK, SKIPPED, Answers, RobustnessBlock, Subject
from harness.perturb.natural_shifts import ShiftedSplit
from harness.perturb.perturbation import IMAGE, GeometricPerturbation, Perturbation
from harness.plan.conditions import RobustnessPlan
from harness.plan.plugins import load_model, package_of
from harness.plan.run_plan import Environment, Plan
from harness.protocols import HasChanceLevel, MovesTargets
from harness.record import PerturbedScore, RobustnessRecord, now
from harness.records.sample_scores import TABLES, Scored, label_of, portable_score, table_digests, vouched, write_scores
from harness.records.scoring import Scoring
from harness.records.store import Store, examples_folder, only_one
from harness.records.trainings import CHECKPOINT, prerequisite_folder, training_folder, why_unusable
from harness.run.examples import Gallery, write_examples
from harness.run.job_server import CLOSED, JobFailure, JobServer, Workers
from harness.run.runner import ALONE, Reporter, jobs_at_once, naming_what_cannot_be_scored
from harness.run.spool import own_folder
from harness.sample import Outcome, Sample, limited
from harness.stats.estimates import estimates
from harness.storage.portable import scrubbed, without_places

_CONDITIONS_A_BLOCK = 12
_MAIN = ""
"""The key of the split that the models' records are about (`Condition.split_key`)."""
"""Metrics that are kept beside the first one."""
_CODE = (
    "jobs/robustness_job.py", "inputs/perturbed_inputs.py", "inputs/decoded_images.py", "affine.py",
    "perturb/image/geometry.py", "perturb/text/meaning_check.py",
)  # fmt: skip


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
) -> RobustnessSummary:
    """Give each trained model of a plan a score, a reason or an error under each condition."""
    cells = [cell for cell in plan.cells if _is_ok(store, cell)]
    if not cells:
        return RobustnessSummary(0, 0, 0, 0)
    with ExitStack() as stack:
        run = _RobustnessRun(plan, sweep, store, environment, reporter)
        pending = run.pending(cells)
        if pending:
            store.require_writable()
            stack.enter_context(only_one(store))
            run.do(pending, workers, stack)
        folder = examples_folder(plan.task.name, plan.data.digest, plan.split)
        if pending or not store.exists(f"{folder}/index.json"):
            run.write_examples()
        return run.summary(cells, sum(len(lacking.conditions) for lacking in pending))


def _is_ok(store: Store, cell: Cell) -> bool:
    record = store.find_record(cell.training.task, cell.fingerprint)
    return record is not None and record.status == OK


@dataclass(frozen=True)
class _Lacking:
    """A trained model and the conditions under which it has no current score."""

    cell: Cell
    conditions: Sequence[Condition]


class _RobustnessRun:
    """One task's sweep: what is pending, the processes that answer, the scorer and the records."""

    def __init__(
        self, plan: Plan, sweep: RobustnessPlan, store: Store, environment: Environment, reporter: Reporter
    ) -> None:
        self.plan, self.sweep, self.store, self.environment, self.reporter = plan, sweep, store, environment, reporter
        self.targets = {_MAIN: ShiftedSplit(plan.data, plan.split), **sweep.shifts}
        limits = {sweep.options.limit, *(cell.evaluate.limit for cell in plan.cells)}
        limit = min((n for n in limits if n is not None), default=None)
        self.options = replace(sweep.options, limit=limit)
        used = {part.name for condition in sweep.conditions for part in condition.parts}
        self.versions = _code_versions([sweep.known[name] for name in sorted(used)])
        self.code = _digest([Path(__file__).parents[1] / name for name in _CODE])
        self.samples: dict[str, Sequence[Sample]] = {}
        self.decoded_images: DecodedImages | None = None
        self.lost: dict[str, JobFailure] = {}
        self.done = self.total = 0

    def pending(self, cells: Sequence[Cell]) -> list[_Lacking]:
        """Find what has no current score."""
        found = []
        for cell in cells:
            current = {score.fingerprint for score in self._scores(cell) if score.status != FAILED}
            missing = [c for c in self.sweep.conditions if self._fingerprint(cell, c) not in current]
            if missing:
                found.append(_Lacking(cell, missing))
        return found

    def do(self, pending: Sequence[_Lacking], workers: Workers, stack: ExitStack) -> None:
        """Answer and score everything that is pending; shifts are scored last, each with its own references."""
        self.spool = stack.enter_context(own_folder(self.environment.cache / "sweeps"))
        packages = {
            package_of(self.plan.task),
            *(package_of(load_model(lacking.cell.training.model)) for lacking in pending),
        }
        count = workers.jobs or jobs_at_once(pending[0].cell.training)
        pool = ThreadPoolExecutor(count)  # its threads only wait for jobs: closing the server ends these first
        stack.callback(pool.shutdown, cancel_futures=True)
        self.server = stack.enter_context(JobServer(packages, workers))
        blocks = self._blocks(pending, count)
        self.total = sum(len(lacking.conditions) for lacking in pending)
        started = {pool.submit(self._run, block): block for block in blocks}
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

    def _subject(self, cell: Cell) -> Subject:
        """Say where a cell's checkpoint lies; trains it again where only its record is left."""
        job = cell.training
        folder, _ = training_folder(job, self.store, self.environment.cache)
        places = Places(self.environment.cache, folder, prerequisite_folder(job, self.environment.cache))
        try:
            self._mend(cell, places)
        except JobFailure as failure:
            self.lost[cell.fingerprint] = failure
        return Subject(cell, places)

    def _mend(self, cell: Cell, places: Places) -> None:
        """Train again what a cell builds on where that is not whole, and the cell where its checkpoint is gone."""
        if places.prerequisite is not None and (reason := why_unusable(places.prerequisite)):
            self.reporter.say(f"{cell.label}: {reason}; training what it builds on again.")
            first = Places(self.environment.cache, places.prerequisite, None)
            job = self.plan.prerequisites[str(cell.training.prerequisite)]
            self.server.run("jobs.jobs.train_job", (job, first), self.reporter.progress)
        if not (places.training / CHECKPOINT).is_file():
            self.reporter.say(f"{cell.label}: its checkpoint is gone ({places.training}); training it again.")
            self.server.run("jobs.jobs.train_job", (cell.training, places), self.reporter.progress)

    def _blocks(self, pending: Sequence[_Lacking], workers: int) -> list[RobustnessBlock]:
        """Cut the work: models that lack the same conditions of one target share their images."""
        subjects = [self._subject(lacking.cell) for lacking in pending]
        wanted: dict[Condition, list[int]] = {}
        for position, lacking in enumerate(pending):
            for condition in lacking.conditions:
                wanted.setdefault(condition, []).append(position)
        groups: dict[tuple[str, tuple[int, ...]], list[Condition]] = {}
        for condition, positions in wanted.items():
            groups.setdefault((condition.split_key, tuple(positions)), []).append(condition)
        blocks = []
        for (shift, sharing), conditions in groups.items():
            first = RobustnessBlock(
                subjects=tuple(subjects[position] for position in sharing),
                conditions=(),
                data=self.targets[shift].data,
                split=self.targets[shift].split,
                options=self.options,
                spool=self.spool,
            )
            count = max(min(workers, len(conditions)), math.ceil(len(conditions) / _CONDITIONS_A_BLOCK))
            # Every count-th one, so that mild and strong, cheap and costly ones are mixed.
            blocks += [replace(first, conditions=tuple(conditions[start::count])) for start in range(count)]
        return blocks

    def _run(self, block: RobustnessBlock) -> list[RobustnessBlock]:
        """Run a block; when its process dies, run each model alone, so that only the guilty one fails."""
        lost = tuple(s for s in block.subjects if s.cell.fingerprint in self.lost)
        for subject in lost:
            self._fail(block, subject, self.lost[subject.cell.fingerprint])
        there = tuple(s for s in block.subjects if s not in lost)
        if lost:
            return [replace(block, subjects=lost), *(self._run(replace(block, subjects=there)) if there else ())]
        try:
            self._answer(block)
        except JobFailure as failure:
            if failure.kind == CLOSED:
                raise
            if len(block.subjects) > 1:
                self.reporter.say(f"{failure.message} Going on with one model at a time.")
                return [part for s in block.subjects for part in self._run(replace(block, subjects=(s,), chunk=8))]
            self._fail(block, block.subjects[0], failure)
        return [block]

    @staticmethod
    def _fail(block: RobustnessBlock, subject: Subject, failure: JobFailure) -> None:
        """Leave a failure under each condition that a model has not answered under."""
        for condition in block.conditions:
            path = block.file(subject, condition)
            if not path.is_file():
                Answers(FAILED, error=failure.message, trace=failure.trace).write(path)

    def _answer(self, block: RobustnessBlock) -> None:
        before = 0

        def progress(what: str, done: int, total: int) -> None:
            nonlocal before
            if what == "answered":
                self.done += (done - before) * len(block.subjects)
                before = done
                self.reporter.progress(f"perturbing for {self.plan.task.name}", self.done, self.total)
            else:
                self.reporter.progress(what, done, total)

        self.server.run("jobs.robustness_job.robustness_job", (block,), progress)

    def _score_all(self, started: Mapping[Future[list[RobustnessBlock]], RobustnessBlock], workers: Workers) -> None:
        """Score blocks as they come; those of shifts wait until the references of the main split are done with."""
        with Scoring(self.plan.task, self.plan.data, self.environment.cache) as scorer:
            scorer.wait_at_most(workers.timeout_s or None)
            signature = self._prepare(scorer, _MAIN)
            waiting: dict[str, list[RobustnessBlock]] = {}
            for future in as_completed(started):
                for block in future.result():
                    shift = block.conditions[0].split_key
                    if shift == _MAIN:
                        self._score_block(block, scorer, signature)
                    else:
                        waiting.setdefault(shift, []).append(block)
            own = {name: blocks for name, blocks in waiting.items() if self._is_own(name)}
            for shift, blocks in own.items():
                self._prepare(scorer, shift)
                for block in blocks:
                    self._score_block(block, scorer, signature)
        for shift in waiting.keys() - own.keys():
            with Scoring(self.plan.task, self.targets[shift].data, self.environment.cache) as scorer:
                scorer.wait_at_most(workers.timeout_s or None)
                self._prepare(scorer, shift)
                for block in waiting[shift]:
                    self._score_block(block, scorer, signature)

    def write_examples(self) -> None:
        """Leave a few images for the report, with the answers of the first seed's models."""
        spec = self.plan.task.spec(self.plan.data, ())
        gallery = Gallery(
            data=self.plan.data,
            split=self.plan.split,
            decoded_images=self._decoded_images(),
            conditions=self.sweep.conditions,
            known=self.sweep.known,
            seed=self.options.seed,
            spec=spec,
            moved=lambda sample, condition: self._moved([sample], condition)[0],
        )
        first = [cell for cell in self.plan.cells if (cell.training.seed, cell.training.control) == (0, None)]
        models = {cell.training.model: cell.fingerprint for cell in first}
        write_examples(self.store, self.plan.task.name, gallery, models)

    def _is_own(self, shift: str) -> bool:
        return self.targets[shift].data.digest == self.plan.data.digest

    def _prepare(self, scorer: Scoring, name: str) -> str:
        target = self.targets[name]
        self.samples[name] = self.plan.task.samples(target.data, target.split)
        return scorer.prepare(self.samples[name])

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
        target = self.targets[condition.split_key]
        outcomes = [Outcome(sample_id, target.translate(answer)) for sample_id, answer in answers.answers]
        try:
            with naming_what_cannot_be_scored():
                scored = self._scored(condition, outcomes, scorer)
                # There are hundreds of conditions: a fifth of the resamples each, as for single classes.
                metrics = estimates(scored.statistics, max(1, cell.evaluate.resamples // 5))
        except JobFailure as failure:
            self._keep_traceback(cell, condition, failure.message, failure.trace)
            return replace(score, status=FAILED, error=failure.message, notes={})
        first = [name for name in self.plan.task.metrics if scored.statistics.get(name) is not None][:1]
        write_scores(self.store, cell.training.task, cell.fingerprint, scored, first, condition.label)
        return replace(score, metrics=metrics)

    def _keep_traceback(self, cell: Cell, condition: Condition, error: str | None, trace: str | None) -> None:
        if trace:
            name = f"{cell.training.task}/failures/{cell.fingerprint}-{condition.label}.txt"
            self.store.write_bytes(name, trace.encode(errors="backslashreplace"))
            self.reporter.say(f"{cell.label} {condition.label}: {error} Traceback in {self.store.url}/{name}")
        elif error and scrubbed(error) != error:  # the record may be shared, but whoever runs needs the place
            self.reporter.say(f"{cell.label} {condition.label}: {error}")

    def _empty_score(self, cell: Cell, condition: Condition, answers: Answers) -> PerturbedScore:
        family, modality = self._kind(condition)
        return PerturbedScore(
            fingerprint=self._fingerprint(cell, condition),
            perturbation=condition.name,
            severity=condition.severity,
            family=family,
            modality=modality,
            status=answers.status,
            error=answers.error,
            notes=answers.notes,
        )

    def _kind(self, condition: Condition) -> tuple[str, str]:
        if condition.shift is not None:
            return SHIFT, "data"
        parts = [self.sweep.known[part.name] for part in condition.parts]
        if len(parts) == 1:
            return parts[0].family, parts[0].modality
        return ("joint", "+".join(part.modality for part in parts)) if parts else ("clean", "none")

    def _scored(self, condition: Condition, outcomes: Sequence[Outcome], scorer: Scoring) -> Scored:
        """Score by the task's first metric and by what else is kept under each condition."""
        answered = {outcome.sample_id for outcome in outcomes}
        samples = limited(self.samples[condition.split_key], self.options.limit)
        kept = self._moved([sample for sample in samples if sample.sample_id in answered], condition)
        return Scored(kept, outcomes, scorer.score_condition(kept, outcomes))

    def _moved(self, samples: Sequence[Sample], condition: Condition) -> Sequence[Sample]:
        """Let targets follow their images, where a condition moves these."""
        part = part_for(condition, IMAGE, self.sweep.known)
        perturbation = self.sweep.known[part.name] if part else None
        task = self.plan.task
        if part is None or not isinstance(perturbation, GeometricPerturbation) or not isinstance(task, MovesTargets):
            return samples
        decoded_images = self._decoded_images()
        sizes = dict(zip(decoded_images.paths, decoded_images.sizes, strict=True))
        moved = []
        for sample in samples:
            image = image_key(sample.image, sizes[sample.image])
            affine = affine_for(perturbation, part, self.options.seed, image)
            moved.append(replace(sample, target=task.moved(sample.target, affine)))
        return moved

    def _decoded_images(self) -> DecodedImages:
        if self.decoded_images is None:
            samples = limited(self.plan.task.samples(self.plan.data, self.plan.split), self.options.limit)
            on_bad = self.plan.cells[0].training.on_bad_sample
            self.decoded_images = open_decoded_images(
                samples, self.options.shortest_px, self.environment.cache, on_bad, self.reporter.progress
            )
        return self.decoded_images

    def _record(self, cell: Cell, scores: Sequence[PerturbedScore], signature: str) -> None:
        """Put new scores into a model's record; those of other settings stay out of it."""
        from harness.measure.provenance import provenance

        fresh = {(score.perturbation, score.severity) for score in scores}
        old = [s for s in self._scores(cell) if (s.perturbation, s.severity) not in fresh]
        ordered = sorted([*old, *scores], key=lambda s: (s.family, s.perturbation, s.severity))
        job, target = cell.training, self.targets[_MAIN]
        samples = limited(self.samples[_MAIN], self.options.limit)
        task = self.plan.task
        self.store.write_robustness(
            RobustnessRecord(
                fingerprint=cell.fingerprint,
                task=job.task,
                data=target.data.name,
                data_digest=target.data.digest,
                split=target.split,
                model=job.model,
                control=job.control,
                seed=job.seed,
                metric=_ranking_metric(task.metrics, [*old, *scores]),
                signature=signature,
                chance=task.chance(target.data, samples) if isinstance(task, HasChanceLevel) else 0.0,
                limit=self.options.limit,
                shortest_px=self.options.shortest_px,
                device=job.device,
                scores=tuple(map(portable_score, ordered)),
                provenance=without_places({**provenance(), TABLES: self._tables(cell, old, scores)}),
                created=now(),
            )
        )

    def _tables(
        self, cell: Cell, old: Sequence[PerturbedScore], fresh: Sequence[PerturbedScore]
    ) -> dict[str, Mapping[str, str]]:
        """Digest what was written under each condition; what was there before keeps the digests that it had."""
        task = cell.training.task
        former = self.store.find_robustness(task, cell.fingerprint)
        kept = {label_of(score): vouched(former, label_of(score)) for score in old} if former else {}
        made = {label_of(score): table_digests(self.store, task, cell.fingerprint, label_of(score)) for score in fresh}
        return {label: digests for label, digests in {**kept, **made}.items() if digests}

    def _scores(self, cell: Cell) -> Sequence[PerturbedScore]:
        """Read the scores of a model that were made with these options."""
        record = self.store.find_robustness(cell.training.task, cell.fingerprint)
        if record is None or (record.limit, record.shortest_px) != (self.options.limit, self.options.shortest_px):
            return ()
        return record.scores

    def _fingerprint(self, cell: Cell, condition: Condition) -> str:
        """Name a score by everything that can move it."""
        target = self.targets[condition.split_key]
        versions = {part.name: self.versions[part.name] for part in condition.parts}
        named = {key: value for key, value in asdict(condition).items() if key != "level" or value}
        content: dict[str, Any] = {"cell": cell.fingerprint, "condition": named, "versions": versions}
        content |= {"options": asdict(self.options), "data": target.data.digest, "split": target.split}
        return fingerprint_of(content | {"code": self.code})


def _ranking_metric(metrics: Sequence[str], scores: Sequence[PerturbedScore]) -> str:
    """The first of a task's metrics that this data has: images of several classes have no top-1."""
    present = {name for score in scores for name, estimate in score.metrics.items() if estimate is not None}
    return next((name for name in metrics if name in present), metrics[0])


def _code_versions(perturbations: Sequence[Perturbation]) -> dict[str, str]:
    """Version and source of each perturbation by name: new code, new fingerprints.

    The source is that of all modules beside the one where its class stands, since what it does may stand in another.
    """
    folders = {p.name: Path(inspect.getfile(type(p))).parent for p in perturbations}
    digests = {folder: _digest(sorted(folder.glob("*.py"))) for folder in set(folders.values())}
    return {p.name: f"{p.version}:{digests[folders[p.name]]}" for p in perturbations}


def _digest(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]
