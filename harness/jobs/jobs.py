"""What runs inside an isolated process: train a checkpoint, predict a split, measure what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from harness.answers import LABELS
from harness.cell import Cell, MeasureOptions, Places, TrainingJob
from harness.errors import CheckpointError, OutOfMemory
from harness.files import replace_atomically
from harness.inputs.golden_preprocessing import PREPROCESSING_VERSION, check_resizing, check_tower
from harness.inputs.images import ImageSplit, open_images
from harness.inputs.modes import for_evaluation, require_frozen
from harness.inputs.read_ahead import reading_threads
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.attainable import attainable_score
from harness.jobs.emap import additive_outcomes, has_two_inputs
from harness.jobs.predict import is_out_of_memory, predict_all
from harness.jobs.profile_learner import profile_learner
from harness.jobs.train import UNTRAINED, TrainingData, TrainingSummary, require_parts, train_learner, trained_state
from harness.measure.device import resolve_precision
from harness.measure.memory import PeakMeter
from harness.plan.plugins import load_model, load_task
from harness.plan.taken_whole import needs_training
from harness.protocols import NOTICE, BuildContext, Learner, Model, Progress, SupportsFit, Task
from harness.record import Efficiency
from harness.records.trainings import CHECKPOINT, LOG, SUMMARY, read_training, why_unusable
from harness.sample import Outcome, Predicted, Preprocessing, Sample, limited

GATE_SAMPLES = 32
"""On so many training samples a model must be able to overfit."""


def train_job(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train and leave checkpoint.safetensors, log.jsonl and, last, training.json in the training folder.

    A model that needs no training is only built: no image of the training split is opened.
    """
    return _train(job, places, progress, job.train.accumulation)


def train_in_parts_job(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train again what the system has killed, in a quarter of the micro-batch.

    Raises OutOfMemory where that would be another training.
    """
    return _train(job, places, progress, 4 * job.train.accumulation)


def _train(job: TrainingJob, places: Places, progress: Progress, accumulation: int) -> dict[str, Any]:
    progress("building", 0, 0)
    torch.set_num_threads(job.train.threads)
    task = load_task(job.task)
    places.training.mkdir(parents=True, exist_ok=True)
    if needs_training(job_model(job)):
        done = _trained(job, task, places, progress, accumulation)
    else:
        done = _as_it_is(job, task, places)
    digest = write_checkpoint(trained_state(done.learner), places.training / CHECKPOINT)
    with replace_atomically(places.training / LOG) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in done.log), encoding="utf-8")
    content: dict[str, Any] = {"checkpoint_sha256": digest, "skipped": sorted(done.skipped), "samples": done.share}
    content |= {**asdict(done.summary), **done.gate}
    content["prerequisite_sha256"] = prerequisite_digest(places)
    with replace_atomically(places.training / SUMMARY) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return content


@dataclass(frozen=True)
class _Training:
    """A learner that is ready to answer, and what is known of how it became so."""

    learner: Learner
    summary: TrainingSummary
    share: Mapping[str, int] = field(default_factory=dict)
    skipped: Collection[str] = ()
    log: Sequence[str] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)


def _as_it_is(job: TrainingJob, task: Task, places: Places) -> _Training:
    return _Training(build_learner(job, task, (), places), UNTRAINED)


def _trained(job: TrainingJob, task: Task, places: Places, progress: Progress, accumulation: int) -> _Training:
    whole = _training_split(task, job)
    samples = limited(whole, job.train.limit)
    learner = build_learner(job, task, samples, places)
    if accumulation > job.train.accumulation:
        require_parts(learner, "The system ended the training, most often for lack of memory", job.train.accumulation)
    images = _open(learner, samples, job, places, progress)
    if images.skipped:
        learner = build_learner(job, task, images.samples, places)
    training = _training_tokens(learner, images, job, places, progress)
    _say_path(job, training, progress)
    selection = _selection(task, learner, job, places, progress)
    log: list[str] = []
    summary = train_learner(
        learner,
        TrainingData(task, training, selection),
        replace(job.train, accumulation=accumulation),
        job.seed,
        (progress, lambda entry: log.append(json.dumps(entry))),
    )
    gate = _gate(job, task, images, training, places, progress)
    share = {"trained": len(images.samples), "of": len(whole)}
    return _Training(learner, summary, share, images.skipped, log, gate)


def _training_tokens(
    learner: Learner, images: ImageSplit, job: TrainingJob, places: Places, progress: Progress
) -> VisualTokens:
    """Prepare the training split; of images that change from epoch to epoch, features cannot be kept, which is said."""
    if job.train.augment is None:
        precision = resolve_precision(job.train.precision, job.device)
        return open_visual_tokens(learner, images, places.cache, job.device, progress, precision)
    if isinstance(learner, SupportsFit):
        progress(f"is not trained in steps: train.augment={job.train.augment} changes none of its images", 0, NOTICE)
    elif learner.vision is not None:
        costs = ", and its frozen tower runs at each step" if learner.vision_frozen else ""
        what = f"images are changed by {job.train.augment}: they are decoded anew in each epoch"
        progress(f"{what}, by {reading_threads()} threads ahead{costs}", 0, NOTICE)
    return VisualTokens(learner, images if learner.vision else None, images.samples, None, job.device)


def predict_job(cell: Cell, places: Places, progress: Progress) -> Predicted:
    """Predict the cell's split with its checkpoint."""
    torch.set_num_threads(cell.training.train.threads)
    task, learner = load_trained(cell.training, places)
    images = evaluation_images(cell, task, learner, places, progress)
    visual_tokens = open_visual_tokens(learner, images, places.cache, cell.training.device, progress)
    _say_path(cell.training, visual_tokens, progress)
    outcomes = predict_all(learner, visual_tokens, cell.evaluate.batch_size, progress)
    additive = _additive(cell, task, learner, visual_tokens, progress)
    return Predicted(tuple(outcomes), images.skipped, preprocessing_hash(learner), tuple(additive))


def _say_path(job: TrainingJob, visual_tokens: VisualTokens, progress: Progress) -> None:
    """Say once a job how its inputs are read; of built-in data, which are small, only what is out of the ordinary."""
    if visual_tokens.reads_ahead or not job.data.embedded:
        progress(visual_tokens.path_taken, 0, NOTICE)


def _additive(
    cell: Cell, task: Task, learner: Learner, visual_tokens: VisualTokens, progress: Progress
) -> Sequence[Outcome]:
    """Project a fused classifier of image and text to its additive part; controls and other models have none."""
    if not cell.evaluate.emap or cell.training.control is not None or not load_model(cell.training.model).fused:
        return ()
    if not has_two_inputs(visual_tokens) or task.spec(cell.training.data, ()).answers != LABELS:
        return ()
    return additive_outcomes(learner, visual_tokens, cell.evaluate.emap, progress)


def profile_job(cell: Cell, places: Places, progress: Progress) -> Efficiency:
    """Measure the cell's checkpoint from pixels to prediction, alone in this process."""
    device = cell.training.device
    torch.set_num_threads(cell.measure.threads)
    with PeakMeter(device) as meter:
        task, learner = load_trained(cell.training, places)
        images = evaluation_images(cell, task, learner, places, progress)
        visual_tokens = VisualTokens(learner, images if learner.vision else None, images.samples, None, device)

        def attempt(options: MeasureOptions) -> Efficiency:
            return profile_learner(learner, visual_tokens, options, meter, progress)

        return _profile_with_retry(cell.measure, attempt, progress)


def _gate(
    job: TrainingJob, task: Task, images: ImageSplit, training: VisualTokens, places: Places, progress: Progress
) -> dict[str, Any]:
    """Ask whether this model can fit 32 samples, as far as its inputs allow: if not, its score says nothing of fusion.

    Dropout, weight decay and the pull to pretrained weights only hold it back, so they are left out.
    """
    if not job.train.gate_steps or isinstance(training.learner, SupportsFit):
        return {}
    options = replace(
        job.train, steps=job.train.gate_steps, batch_size=min(GATE_SAMPLES, job.train.batch_size), dropout=0.0,
        weight_decay=0.0, augment=None, beta=0.0, gamma=0.0, validations=1, patience=0, limit=None,
    )  # fmt: skip
    learner = build_learner(replace(job, train=options), task, images.samples, places)
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
    options: MeasureOptions, attempt: Callable[[MeasureOptions], Efficiency], progress: Progress
) -> Efficiency:
    """Measure; when memory runs out, again with half the throughput batch, and say so."""
    while True:
        try:
            return attempt(options)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if options.throughput_batch == 1:
                raise OutOfMemory("Out of memory while measuring one sample at a time.") from error
        options = replace(options, throughput_batch=options.throughput_batch // 2)
        progress(f"out of memory: measuring throughput in batches of {options.throughput_batch}", 0, NOTICE)


def load_trained(job: TrainingJob, places: Places) -> tuple[Task, Learner]:
    """Build the learner again and load its checkpoint; raises CheckpointError when it does not fit."""
    task = load_task(job.task)
    summary = read_training(places.training)
    samples = training_samples(task, job)
    left_out = set(summary["skipped"])
    learner = build_learner(job, task, [s for s in samples if s.sample_id not in left_out], places)
    known = prerequisite_digest(places)
    if summary.get("prerequisite_sha256", known) != known:
        raise CheckpointError(
            f"{places.training} was trained on another checkpoint than the one in {places.prerequisite}. "
            f"Delete {places.training} and run again to train it anew."
        )
    read_checkpoint(learner, places.training / CHECKPOINT, summary["checkpoint_sha256"])
    for_evaluation(learner)
    return task, learner


def build_learner(job: TrainingJob, task: Task, samples: Sequence[Sample], places: Places) -> Learner:
    """Build the job's learner on its device, in evaluation mode.

    Raises PreprocessingDrift where it would not see what it should, PluginError where a tower is said to be frozen and
    is not.
    """
    model = job_model(job)
    prerequisite_digest(places)
    context = BuildContext(job.options, job.train, job.decode, job.seed, places.cache, places.prerequisite)
    torch.manual_seed(job.seed)
    module: Any = model.build(task.spec(job.data, samples), context)
    learner: Learner = module.to(job.device)
    for_evaluation(learner)
    require_frozen(learner)
    if learner.vision is not None:
        check_resizing()
        check_tower(learner.vision, job.device)
    return learner


def prerequisite_digest(places: Places) -> str | None:
    """Digest the checkpoint that a job builds on, None for none; raises CheckpointError where it is not whole."""
    folder = places.prerequisite
    if folder is None:
        return None
    if reason := why_unusable(folder):
        raise CheckpointError(f"{reason}. Delete {folder} and run again to train it anew.")
    return str(read_training(folder)["checkpoint_sha256"])


def job_model(job: TrainingJob) -> Model:
    """Load a job's model, or the control of it."""
    model = load_model(job.model)
    return model if job.control is None else model.with_control(job.control)


def training_samples(task: Task, job: TrainingJob) -> Sequence[Sample]:
    """Read what a job trains on; nothing where the data has no training split or the model needs none."""
    return limited(_training_split(task, job), job.train.limit)


def _training_split(task: Task, job: TrainingJob) -> Sequence[Sample]:
    split = job.data.training_split
    return () if split is None or not needs_training(job_model(job)) else task.samples(job.data, split)


def evaluation_images(cell: Cell, task: Task, learner: Learner, places: Places, progress: Progress) -> ImageSplit:
    """Open the split that a cell is evaluated on."""
    samples = limited(task.samples(cell.training.data, cell.split), cell.evaluate.limit)
    return _open(learner, samples, cell.training, places, progress)


def write_checkpoint(state: Mapping[str, torch.Tensor], path: Path) -> str:
    """Write tensors as safetensors, atomically; returns the file's sha256."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with replace_atomically(path) as temporary:
        save_file(tensors, temporary)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_checkpoint(learner: Learner, path: Path, digest: str) -> None:
    """Load a checkpoint into a freshly built learner; raises CheckpointError naming what does not fit."""
    remedy = f"Delete {path.parent} and run again to train it anew."
    if not path.is_file():
        raise CheckpointError(f"{path} is not there. {remedy}")
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != digest:
        raise CheckpointError(f"{path} has sha256 {seen[:16]}…, its training wrote {digest[:16]}…. {remedy}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}. {remedy}") from None
    wanted = trained_state(learner)
    wrong = sorted(name for name in state.keys() ^ wanted.keys())
    wrong += [name for name in state.keys() & wanted.keys() if state[name].shape != wanted[name].shape]
    if wrong:
        raise CheckpointError(f"{path} does not fit the model: {len(wrong)} tensors, first '{wrong[0]}'. {remedy}")
    module: Any = learner
    module.load_state_dict(state, strict=False)


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


def _open(
    learner: Learner, samples: Sequence[Sample], job: TrainingJob, places: Places, progress: Progress
) -> ImageSplit:
    if learner.vision is None and job.on_bad_sample == "fail":
        return ImageSplit(tuple(samples), {}, Preprocessing(1), None)
    preprocessing = learner.vision.preprocessing if learner.vision else Preprocessing(64)
    return open_images(samples, preprocessing, places.cache, job.on_bad_sample, progress)


def _selection(task: Task, learner: Learner, job: TrainingJob, places: Places, progress: Progress) -> VisualTokens:
    split = job.data.selection_split
    samples = () if split is None else limited(task.samples(job.data, split), job.train.validation_limit)
    images = _open(learner, samples, job, places, progress)
    return open_visual_tokens(learner, images, places.cache, job.device, progress)
