"""Fits a learner that takes in the training split in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch

from harness.inputs.modes import for_evaluation
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.training_summary import TrainingSummary
from harness.protocols import Progress, SupportsFit
from harness.sample import Batch

_SAMPLES = 64


def fit_learner(learner: SupportsFit, training: VisualTokens, progress: Progress) -> TrainingSummary:
    """Hand the whole split to a learner, in sample order."""
    started, total = time.perf_counter(), len(training)

    def read(order: Iterator[Sequence[int]]) -> Iterator[Batch]:
        for start, indices in zip(range(0, total, _SAMPLES), order, strict=True):
            progress("fitting", start, total)
            yield training.batch(indices, with_targets=True)

    parts = [range(start, min(start + _SAMPLES, total)) for start in range(0, total, _SAMPLES)]
    with torch.no_grad(), training.in_order([parts]) as order:
        learner.fit(read(order))
    for_evaluation(training.learner)
    return TrainingSummary(0, 0, None, time.perf_counter() - started, "fp32", 1, None)
