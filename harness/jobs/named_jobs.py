"""The jobs of a run, to be handed to a job server: each imports its code where it runs, since only there torch may be.

They are plain functions of this module, so that they can be sent to another process by reference. Each takes from the
cache what is known there of files, so that weights are not read again by every job only to know their digest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from harness.storage.cache_in_use import digests_remembered

if TYPE_CHECKING:
    from harness.cell import Cell, ExplainOptions, Places, TrainingJob
    from harness.jobs.explain_job import Explanations
    from harness.jobs.robustness_block import RobustnessBlock
    from harness.protocols import Progress
    from harness.record import Efficiency
    from harness.sample import Predicted

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def within_part_of_gpu(
    part: float, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], progress: Progress
) -> Result:
    """Call another job that may fill so much of the GPU's memory; above that it meets an out-of-memory error."""
    import torch

    torch.cuda.set_per_process_memory_fraction(part)
    return job(*arguments, progress)


def train(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train a checkpoint; see `train_job`."""
    from harness.jobs.jobs import train_job

    with digests_remembered(places.cache):
        return train_job(job, places, progress)


def train_in_parts(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train again what the system has killed, in smaller parts; see `train_in_parts_job`."""
    from harness.jobs.jobs import train_in_parts_job

    with digests_remembered(places.cache):
        return train_in_parts_job(job, places, progress)


def predict(cell: Cell, places: Places, progress: Progress) -> Predicted:
    """Predict a split with a checkpoint; see `predict_job`."""
    from harness.jobs.jobs import predict_job

    with digests_remembered(places.cache):
        return predict_job(cell, places, progress)


def profile(cell: Cell, places: Places, progress: Progress) -> Efficiency:
    """Measure what a checkpoint costs; see `profile_job`."""
    from harness.jobs.jobs import profile_job

    with digests_remembered(places.cache):
        return profile_job(cell, places, progress)


def answer_conditions(block: RobustnessBlock, progress: Progress) -> dict[str, str]:
    """Answer under the conditions of a block; see `robustness_job`."""
    from harness.jobs.robustness_job import robustness_job

    with digests_remembered(block.subjects[0].places.cache):
        return robustness_job(block, progress)


def explain(
    cell: Cell, places: Places, methods: tuple[str, ...], options: ExplainOptions, progress: Progress
) -> Explanations:
    """Explain what a checkpoint answers; see `explain_job`."""
    from harness.jobs.explain_job import explain_job

    with digests_remembered(places.cache):
        return explain_job(cell, places, methods, options, progress)
