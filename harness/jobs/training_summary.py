"""What is known of a training when it has ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSummary:
    """What is known after training; seconds exclude building, decoding and frozen features.

    `peak_memory_bytes` is what tensors took at most on an accelerator, of the CPU the resident memory of the process.
    """

    steps: int
    best_step: int
    best_score: float | None
    seconds: float
    precision: str
    accumulation: int
    final_loss: float | None
    peak_memory_bytes: int | None = None


UNTRAINED = TrainingSummary(0, 0, None, 0.0, "fp32", 1, None)
"""Of a learner that is evaluated as it was built."""
