"""The jobs of a run, to be handed to a job server: each imports its code where it runs, since only there torch may be.

They are plain functions of this module, so that they can be sent to another process by reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.cell import Cell, Places, TrainingJob
    from harness.jobs.robustness_block import RobustnessBlock
    from harness.protocols import Progress
    from harness.record import Efficiency
    from harness.sample import Predicted


def train(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train a checkpoint; see `train_job`."""
    from harness.jobs.jobs import train_job

    return train_job(job, places, progress)


def train_in_parts(job: TrainingJob, places: Places, progress: Progress) -> dict[str, Any]:
    """Train again what the system has killed, in smaller parts; see `train_in_parts_job`."""
    from harness.jobs.jobs import train_in_parts_job

    return train_in_parts_job(job, places, progress)


def predict(cell: Cell, places: Places, progress: Progress) -> Predicted:
    """Predict a split with a checkpoint; see `predict_job`."""
    from harness.jobs.jobs import predict_job

    return predict_job(cell, places, progress)


def profile(cell: Cell, places: Places, progress: Progress) -> Efficiency:
    """Measure what a checkpoint costs; see `profile_job`."""
    from harness.jobs.jobs import profile_job

    return profile_job(cell, places, progress)


def answer_conditions(block: RobustnessBlock, progress: Progress) -> dict[str, str]:
    """Answer under the conditions of a block; see `robustness_job`."""
    from harness.jobs.robustness_job import robustness_job

    return robustness_job(block, progress)
