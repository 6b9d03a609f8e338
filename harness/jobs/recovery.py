"""Trains a changed learner a few steps on, on its own training split: what pruning takes away may come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.cell import Places, TrainingJob
from harness.errors import NotCompressible
from harness.inputs.modes import for_evaluation, for_training
from harness.jobs.built_learner import trained_samples
from harness.jobs.evaluated_images import computed_tokens, images_for
from harness.jobs.optimizer import build_optimizer
from harness.jobs.sample_order import SampleOrder
from harness.protocols import Learner, Progress, SupportsFit, Task
from harness.records.trainings import read_training


def recover(
    learner: Learner,
    task: Task,
    job: TrainingJob,
    places: Places,
    progress: Progress,
    steps: int,
    after_step: Callable[[], None],
) -> None:
    """Train by the recipe of the job, at its learning rates, without warm-up and validations, in fp32.

    Raises NotCompressible for a learner that is not trained by gradient.
    """
    if isinstance(learner, SupportsFit) or not any(vars(learner.parameter_groups()).values()):
        raise NotCompressible(f"{type(learner).__name__} is not trained by gradient, so nothing can be recovered.")
    samples = trained_samples(task, job, read_training(places.training))
    tokens = computed_tokens(job.device, learner, images_for(learner, samples, job, places, progress))
    options = replace(job.train, steps=steps)
    optimizer, generator = build_optimizer(learner, options), torch.Generator().manual_seed(job.seed)
    order = SampleOrder(len(tokens), options.batch_size, steps, generator)
    module: Any = learner
    for_training(learner)
    done = 0
    for group in order.groups():
        for indices in group:
            optimizer.zero_grad()
            learner.loss(tokens.batch(indices, with_targets=True), generator).backward()
            torch.nn.utils.clip_grad_norm_([p for p in module.parameters() if p.requires_grad], options.clip_norm)
            optimizer.step()
            after_step()
            done += 1
            progress("training on what is left of it", done, steps)
    for_evaluation(learner)
