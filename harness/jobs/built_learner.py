"""Builds a job's learner: anew, or as a training has left it, for which no training sample is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from harness.cell import Places, TrainingJob
from harness.errors import CheckpointError
from harness.inputs.golden_preprocessing import check_resizing, check_tower
from harness.inputs.modes import for_evaluation, require_frozen
from harness.jobs.acquired import ACQUISITION, acquired_of
from harness.jobs.checkpoints import read_checkpoint, read_derived
from harness.jobs.ensemble import build_ensemble
from harness.jobs.torchao_import import unwarned_of_torchao
from harness.jobs.training_subset import training_subset
from harness.plan.plugins import load_model, load_task
from harness.plan.taken_whole import needs_training
from harness.protocols import BuildContext, Derived, Learner, Model, ReadsText, Task
from harness.records.trainings import CHECKPOINT, read_training, why_unusable
from harness.sample import Dataset, OnDemand, Sample, TaskSpec


class GivesSpec(Protocol):
    """What building a learner needs of a task."""

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Say what models must know before they are built."""
        ...


def load_trained(job: TrainingJob, places: Places) -> tuple[Task, Learner]:
    """Build the learner again and load its checkpoint; raises CheckpointError when it does not fit."""
    task = load_task(job.task)
    summary = read_training(places.training)
    samples = OnDemand(lambda: trained_samples(task, job, summary))
    return task, restored(job, task, samples, places)


def restored(job: TrainingJob, task: GivesSpec, samples: Sequence[Sample], places: Places) -> Learner:
    """Build a job's learner as its training folder has left it; raises CheckpointError when that does not fit."""
    summary = read_training(places.training)
    learner = build_learner(job, task, samples, places, read_derived(places.training, summary))
    known = prerequisite_digest(places)
    if summary.get("prerequisite_sha256", known) != known:
        raise CheckpointError(
            f"{places.training} was trained on another checkpoint than the one in {places.prerequisite}. "
            f"Delete {places.training} and run again to train it anew."
        )
    if needs_training(job_model(job)):
        read_checkpoint(learner, places.training / CHECKPOINT, summary["checkpoint_sha256"])
    for_evaluation(learner)
    if isinstance(learner, ReadsText) and "classes" in learner.reads:
        classes = task.spec(job.data, ()).classes
        if classes.test_texts:
            learner.reword(classes.test_texts)
    return learner


def build_learner(
    job: TrainingJob, task: GivesSpec, samples: Sequence[Sample], places: Places, derived: Derived | None = None
) -> Learner:
    """Build the job's learner on its device, in evaluation mode; `derived` knows what was derived from the samples.

    Raises PreprocessingDrift where it would not see what it should, PluginError where a tower is said to be frozen and
    is not.
    """
    model = job_model(job)
    prerequisite_digest(places)
    seen = derived or Derived()
    context = BuildContext(
        job.options, job.train, job.decode, job.seed, places.cache, places.prerequisite, seen, job.device
    )
    torch.manual_seed(job.seed)
    spec = task.spec(job.data, samples)
    if isinstance(spec, TaskSpec) and spec.classes.test_texts:
        spec = replace(spec, classes=replace(spec.classes, test_texts=()))
    with unwarned_of_torchao():
        module: Any = build_ensemble(model, spec, context) if job.train.ensemble > 1 else model.build(spec, context)
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


def trained_samples(task: Task, job: TrainingJob, summary: Mapping[str, Any]) -> Sequence[Sample]:
    """Read what a job has trained on, as its training's summary tells; nothing where the model needs none."""
    whole, told, left_out = training_split(task, job), summary.get(ACQUISITION), set(summary["skipped"])
    found = training_subset(whole, job.train, job.seed) if told is None else acquired_of(told).of(whole)
    return [sample for sample in found if sample.sample_id not in left_out]


def training_split(task: Task, job: TrainingJob) -> Sequence[Sample]:
    """The whole split of it."""
    split = job.data.training_split
    return () if split is None or not needs_training(job_model(job)) else task.samples(job.data, split)
