"""What runs inside an isolated process: train a checkpoint, predict a split, measure what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch

from harness.answers import LABELS
from harness.cell import Cell, MeasureOptions, Places, TrainingJob, TrainOptions, fingerprint_of
from harness.compress.regions import release_converted
from harness.files import clear_parts, replace_atomically
from harness.inputs.golden_preprocessing import PREPROCESSING_VERSION
from harness.inputs.images import ImageSplit
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.acquired import ACQUISITION
from harness.jobs.attainable import attainable_score
from harness.jobs.beside_parent import beside_parent
from harness.jobs.built_learner import (
    build_learner,
    job_model,
    load_trained,
    prerequisite_digest,
    training_split,
)
from harness.jobs.checkpoints import write_checkpoint, write_derived
from harness.jobs.data_parallel import Processes, device_of, in_processes, require_shares
from harness.jobs.emap import additive_outcomes, has_two_inputs
from harness.jobs.evaluated_images import computed_tokens, evaluation_images, images_for
from harness.jobs.hardened_loss import unhardened
from harness.jobs.label_rounds import spend_labels
from harness.jobs.loss_parts import require_parts
from harness.jobs.predict import answer_split
from harness.jobs.profile_learner import profile_learner
from harness.jobs.pseudo_labels import unlabelled_data
from harness.jobs.resume_file import ResumeFile
from harness.jobs.sequence import DomainSequence, Reading
from harness.jobs.train import TrainingData, learns, train_learner, trained_state
from harness.jobs.training_subset import training_subset
from harness.jobs.training_summary import UNTRAINED, TrainingSummary
from harness.jobs.training_tokens import selection_tokens, training_tokens
from harness.jobs.trials import Course, FinishedTrials, at_the_edge, best_of_trials, idle_rates, remove_trials
from harness.jobs.variants import checked_variant, load_subject, modifiers_of
from harness.measure.device import autocast, begin_job, numerics
from harness.measure.memory import PeakMeter
from harness.measure.out_of_memory import halving
from harness.plan.plugins import load_model, load_task
from harness.plan.taken_whole import needs_training
from harness.protocols import NOTICE, AsksService, Derived, HasCheckpointSettings, Learner, Progress, SupportsFit, Task
from harness.record import Efficiency
from harness.records.trainings import CHECKPOINT, LOG, RESUME, SUMMARY
from harness.sample import Outcome, Predicted, Sample

GATE_SAMPLES = 32
"""On so many training samples a model must be able to overfit."""


def train_job(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train and leave checkpoint.safetensors, log.jsonl and, last, training.json in the training folder.

    No image of the training split is opened for a learner that learns nothing, and a model that says so beforehand
    (`EvaluatesOnly`) is not even built.
    """
    return _train(job, places, progress, job.train.accumulation)


def train_in_parts_job(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train again what the system has killed, in a quarter of the micro-batch.

    Raises OutOfMemory where that would be another training.
    """
    return _train(job, places, progress, 4 * job.train.accumulation)


def _train(job: TrainingJob, places: Places, progress: Progress, accumulation: int) -> dict[str, Any]:
    progress("building", 0, 0)
    begin_job(job.train.threads, deterministic=job.train.deterministic)
    task = load_task(job.task)
    places.training.mkdir(parents=True, exist_ok=True)
    clear_parts(places.training)
    if needs_training(job_model(job)):
        work = partial(_trained, job, task, places, progress, accumulation)
        done = in_processes(job.train.processes, job.device, work)
    else:
        done = _Training({}, UNTRAINED)
    digest = write_checkpoint(done.state, places.training / CHECKPOINT)
    kept = write_derived(done.derived, places.training)
    with replace_atomically(places.training / LOG) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in done.log), encoding="utf-8")
    content: dict[str, Any] = {
        "checkpoint_sha256": digest,
        "skipped": sorted(done.skipped),
        "samples": done.share,
    } | kept
    content |= {**asdict(done.summary), **done.told, "numerics": numerics(job.device)}
    content["prerequisite_sha256"] = prerequisite_digest(places)
    if accumulation > job.train.accumulation:
        content["restarted_in_parts"] = True
    with replace_atomically(places.training / SUMMARY) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    (places.training / RESUME).unlink(missing_ok=True)
    remove_trials(places.training)
    return content


@dataclass(frozen=True)
class _Training:
    """What a learner must have to answer, and what is known of how it came by it."""

    state: Mapping[str, torch.Tensor]
    summary: TrainingSummary
    share: Mapping[str, int] = field(default_factory=dict)
    skipped: Collection[str] = ()
    log: Sequence[str] = ()
    told: Mapping[str, Any] = field(default_factory=dict)
    derived: Derived = field(default_factory=Derived)


def _trained(
    asked: TrainingJob, task: Task, places: Places, report: Progress, accumulation: int, processes: Processes
) -> _Training:
    """Train in one of the processes of a training; only what the leading one returns is kept."""
    job = replace(asked, device=device_of(processes, asked.device))
    progress = report if processes.leads else _silent
    whole = training_split(task, job)
    acquired = spend_labels(job, task, whole, places, progress) if job.train.acquire and whole else None
    samples = training_subset(whole, job.train, job.seed) if acquired is None else acquired.of(whole)
    labels = {} if acquired is None else {ACQUISITION: acquired.to_json()}
    derived = Derived()
    learner = build_learner(job, task, samples, places, derived)
    if not learns(learner):
        return _Training(trained_state(learner), UNTRAINED, told=labels, derived=derived)
    require_shares(learner, processes, accumulation)
    if accumulation > job.train.accumulation:
        require_parts(learner, "The system ended the training, most often for lack of memory", job.train.accumulation)
    images = images_for(learner, samples, job, places, progress)
    if images.skipped:
        derived = Derived()
        learner = build_learner(job, task, images.samples, places, derived)
    training = training_tokens(learner, images, job, places, progress)
    _say_path(job, training, progress)
    selection = selection_tokens(task, learner, job, places, progress) if processes.leads else training
    unlabelled = None
    if job.train.unlabelled:
        open_hidden = partial(_opened, learner, job, places, progress)
        split = whole, samples
        unlabelled = unlabelled_data(split, job.train, job.seed, task, learner, open_hidden, progress)
    log: list[str] = []
    sequence = _sequence(task, learner, job, places, progress)

    def build(other: TrainingJob) -> Learner:
        return build_learner(other, task, images.samples, places, derived)

    def attempt(train: TrainOptions, course: Course) -> tuple[Mapping[str, torch.Tensor], TrainingSummary]:
        own = learner if course.number == 0 else build(replace(job, train=train))
        data = TrainingData(task, replace(training, learner=own), replace(selection, learner=own), course.falls_behind)
        data = data if unlabelled is None else replace(data, unlabelled=unlabelled.seen_by(own))
        kept = _kept(asked, places, images.skipped, course.number)
        steps = replace(train, accumulation=accumulation, pull=0.0)
        summary = train_learner(own, data, steps, job.seed, (progress, course.take), kept, processes)
        if train.trials > 1:
            kept.path.unlink(missing_ok=True)  # it is no state of the next trial
        return trained_state(own), summary

    finished = FinishedTrials(places.training, _kept(asked, places, images.skipped).key)
    tuned = best_of_trials(
        job.train, job.seed, attempt, finished, (progress, lambda entry: log.append(json.dumps(entry)))
    )
    if not processes.leads:
        return _Training({}, tuned.summary)
    told = dict(tuned.told)
    if told:
        told["at_the_edge"] = at_the_edge(job.train, tuned.settings, idle_rates(learner))
    told |= labels
    if unlabelled is not None:
        told["unlabelled"] = {"samples": len(unlabelled.tokens), "threshold": unlabelled.threshold}
    told |= _gate(replace(job, train=tuned.train), task, images, training, build, progress)
    state = tuned.state
    if sequence is not None:
        sequence.learner.load_state_dict(state, strict=False)  # type: ignore[attr-defined]
        told["sequence"] = sequence.go_on()
        state = trained_state(learner)
    share = {"trained": len(images.samples), "of": len(whole)}
    return _Training(state, tuned.summary, share, images.skipped, log, told, derived)


def _opened(
    learner: Learner, job: TrainingJob, places: Places, progress: Progress, samples: Sequence[Sample]
) -> VisualTokens:
    return training_tokens(learner, images_for(learner, samples, job, places, progress), job, places, progress)


def _sequence(
    task: Task, learner: Learner, job: TrainingJob, places: Places, progress: Progress
) -> DomainSequence | None:
    """Score the domains of a sequence as the learner was built; None where there is no sequence."""
    if not job.domains:
        return None

    training = partial(_opened, learner, job, places, progress)

    def evaluation(samples: Sequence[Sample]) -> VisualTokens:
        return open_visual_tokens(
            learner, images_for(learner, samples, job, places, progress), places.cache, job.device, progress
        )

    sequence = DomainSequence(task, job, places.cache, learner, Reading(training, evaluation), progress)
    sequence.score()
    return sequence


def _silent(what: str, done: int, total: int) -> None:
    """Leave it to the leading process to report."""


def _kept(job: TrainingJob, places: Places, skipped: Collection[str], trial: int = 0) -> ResumeFile:
    """Say where the state of a running training is kept, and by which name: all that can move it."""
    content: dict[str, Any] = {"training": job.fingerprint, "skipped": sorted(skipped)}
    content |= {"on": prerequisite_digest(places)} | ({"trial": trial} if trial else {})
    path, every_s = places.training / RESUME, places.keep_every_s
    return ResumeFile(path, fingerprint_of(content), every_s, url=places.keep_url)


def predict_job(cell: Cell, places: Places, progress: Progress) -> Predicted:
    """Predict the cell's split with its checkpoint."""
    begin_job(cell.training.train.threads, deterministic=cell.training.train.deterministic)
    task, learner = load_trained(cell.training, places)
    variant = checked_variant(cell, task, learner, places, progress) if cell.variant else None
    learner = learner if variant is None else variant.learner
    images = evaluation_images(cell, task, learner, places, progress)
    visual_tokens = _evaluation_tokens(cell, learner, images, places, progress)
    _say_path(cell.training, visual_tokens, progress)
    with autocast(cell.training.device, cell.evaluate.precision):
        answers = answer_split(learner, visual_tokens, cell.evaluate.batch_size, progress)
        additive = _additive(cell, task, learner, visual_tokens, progress)
    brought = learner.checkpoint_settings() if isinstance(learner, HasCheckpointSettings) else {}
    return Predicted(
        outcomes=tuple(answers.outcomes),
        skipped=images.skipped,
        preprocessing_hash=preprocessing_hash(learner),
        additive=tuple(additive),
        checkpoint_settings=brought,
        failed=answers.failed,
        batch_size=answers.batch_size,
        service=learner.service_report() if isinstance(learner, AsksService) else {},
        variant={} if variant is None else variant.told,
    )


def _evaluation_tokens(
    cell: Cell, learner: Learner, images: ImageSplit, places: Places, progress: Progress
) -> VisualTokens:
    """Prepare a split for evaluation; features are kept in fp32 alone, since any other precision is that of a block."""
    if cell.evaluate.precision == "fp32" and cell.variant is None:
        return open_visual_tokens(learner, images, places.cache, cell.training.device, progress)
    return computed_tokens(cell.training.device, learner, images)


def _say_path(job: TrainingJob, visual_tokens: VisualTokens, progress: Progress) -> None:
    """Say once a job how its inputs are read; of built-in data, which are small, only what is out of the ordinary."""
    if visual_tokens.reads_ahead or not job.data.embedded:
        progress(visual_tokens.path_taken, 0, NOTICE)


def _additive(
    cell: Cell, task: Task, learner: Learner, visual_tokens: VisualTokens, progress: Progress
) -> Sequence[Outcome]:
    """Project a fused classifier of image and text to its additive part; controls and other models have none."""
    if not cell.evaluate.emap or cell.variant is not None or cell.training.control is not None:
        return ()
    if not load_model(cell.training.model).fused:
        return ()
    if not has_two_inputs(visual_tokens) or task.spec(cell.training.data, ()).answers != LABELS:
        return ()
    return additive_outcomes(learner, visual_tokens, cell.evaluate.emap, progress)


def profile_job(cell: Cell, places: Places, progress: Progress) -> Efficiency:
    """Measure the cell's checkpoint from pixels to prediction, alone in this process."""
    device = cell.training.device
    begin_job(cell.measure.threads)
    with PeakMeter(device) as meter:
        task, learner, seconds = load_subject(cell, places, progress)
        images = evaluation_images(cell, task, learner, places, progress)
        visual_tokens = computed_tokens(cell.training.device, learner, images)
        if cell.variant is not None:
            release_converted(learner)  # whether it answers as its parent was asked when it answered the split
        meter.mark()

        def attempt(options: MeasureOptions) -> Efficiency:
            return profile_learner(learner, visual_tokens, options, meter, progress, counts=counts)

        counts = cell.variant is None or not all(each.plugin.same_operations for each in modifiers_of(cell.variant))
        with autocast(device, cell.evaluate.precision):
            found = _profile_with_retry(cell.measure, attempt, meter.restart, progress)
    if cell.variant is not None:
        found = beside_parent(cell, places, found, learner, visual_tokens, seconds, progress)
    known = {"precision": cell.evaluate.precision, **numerics(device)}
    return replace(found, notes={**found.notes, "numerics": known})


def _gate(
    job: TrainingJob,
    task: Task,
    images: ImageSplit,
    training: VisualTokens,
    build: Callable[[TrainingJob], Learner],
    progress: Progress,
) -> dict[str, Any]:
    """Ask whether this model can fit 32 samples, as far as its inputs allow: if not, its score says nothing of fusion.

    Dropout, weight decay and the pull to pretrained weights only hold it back, so they are left out.
    """
    if not job.train.gate_steps or isinstance(training.learner, SupportsFit):
        return {}
    options = replace(
        unhardened(job.train), steps=job.train.gate_steps, batch_size=min(GATE_SAMPLES, job.train.batch_size),
        dropout=0.0, weight_decay=0.0, augment=None, beta=0.0, gamma=0.0, validations=1, patience=0, limit=None,
    )  # fmt: skip
    learner = build(replace(job, train=options))
    few = replace(training, learner=learner, samples=training.samples[:GATE_SAMPLES])
    progress("checking that it can fit 32 samples", 0, 0)
    summary = train_learner(learner, TrainingData(task, few, few), options, job.seed, (progress, lambda entry: None))
    if summary.best_score is None:
        return {}
    spec = task.spec(job.data, images.samples)
    attainable = attainable_score(task, spec, learner, few.samples)
    wanted = task.learnable_score * (1.0 if attainable is None else attainable)
    score = summary.best_score
    return {"gate_score": score, "gate_attainable": attainable, "learnable": score >= wanted}


def _profile_with_retry(
    options: MeasureOptions,
    attempt: Callable[[MeasureOptions], Efficiency],
    forget_peak: Callable[[], None],
    progress: Progress,
) -> Efficiency:
    """Measure; when memory runs out, again with half the throughput batch, and say so.

    The peak is that of the attempt that succeeds: the other's is all the memory that there was.
    """

    def tell(batch: int) -> None:
        forget_peak()
        progress(f"out of memory: measuring throughput in batches of {batch}", 0, NOTICE)

    def with_batch(batch: int) -> Efficiency:
        return attempt(replace(options, throughput_batch=batch))

    return halving(with_batch, options.throughput_batch, tell, "while measuring")[0]


def preprocessing_hash(learner: Learner) -> str | None:
    """Hash what the model sees of a fixed image, its normalisation, and the versions of decoder and golden inputs."""
    if learner.vision is None:
        return None
    from PIL import Image

    from harness.inputs.images import DECODER, fit_image

    ramp = torch.arange(160 * 120 * 3, dtype=torch.int64).mul(2654435761).remainder(251).to(torch.uint8)
    image = Image.fromarray(ramp.reshape(120, 160, 3).numpy(), "RGB")
    fitted = fit_image(image, learner.vision.preprocessing)
    digest = hashlib.sha256(fitted.tobytes())
    digest.update(repr((learner.vision.preprocessing.mean, learner.vision.preprocessing.std)).encode())
    digest.update(f"decoder {DECODER}, passport {PREPROCESSING_VERSION}".encode())
    return digest.hexdigest()[:16]
