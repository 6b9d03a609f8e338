"""Spends a job's budget of labels in rounds, with learners that are trained in between; apart, as `acquisition` is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.cell import Places, TrainingJob
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.acquired import Acquired
from harness.jobs.acquisition import Rounds, acquire
from harness.jobs.built_learner import build_learner
from harness.jobs.evaluated_images import images_for
from harness.jobs.train import TrainingData, train_learner
from harness.jobs.training_tokens import selection_tokens, training_tokens
from harness.protocols import Learner, Progress, Task
from harness.sample import Sample


def spend_labels(job: TrainingJob, task: Task, whole: Sequence[Sample], places: Places, progress: Progress) -> Acquired:
    """Choose the samples of a split that get a label; raises UsageError for what a rule cannot go by.

    Learners in between are trained as the job says, each anew, but for settings that trials would try.
    """
    train = replace(job.train, trials=1, pull=0.0)

    def learner(labelled: Sequence[Sample], is_trained: bool) -> Learner:
        own = build_learner(job, task, labelled, places)
        if is_trained:
            images = images_for(own, labelled, job, places, progress)
            tokens = training_tokens(own, images, job, places, progress)
            data = TrainingData(task, tokens, selection_tokens(task, own, job, places, progress))
            train_learner(own, data, train, job.seed, (progress, lambda entry: None))
        return own

    def read(own: Learner, samples: Sequence[Sample]) -> VisualTokens:
        plain = replace(job, train=replace(train, augment=None, mix=None, adversarial=0.0))
        return training_tokens(own, images_for(own, samples, job, places, progress), plain, places, progress)

    classes = len(task.spec(job.data, ()).classes) if train.shots else 0
    return acquire(whole, train, job.seed, classes, Rounds(learner, read, progress))
