"""The one evaluation loop: samples in, outcomes out, in the order of the split."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.errors import OutOfMemory
from harness.inputs.visual_tokens import VisualTokens
from harness.metrics.plain_answers import outcomes_of
from harness.protocols import NOTICE, Learner, Progress
from harness.sample import Outcome


def predict_all(learner: Learner, visual_tokens: VisualTokens, batch_size: int, progress: Progress) -> list[Outcome]:
    """Predict a whole split; halves the batch when memory runs out, and says so.

    Raises OutOfMemory when even one sample does not fit, DataError for answers that are no plain values, or not finite.
    """
    outcomes: list[Outcome] = []
    total = len(visual_tokens)
    batch_size = max(1, min(batch_size, total))
    while len(outcomes) < total:
        starts = range(len(outcomes), total, batch_size)
        parts = [range(start, min(start + batch_size, total)) for start in starts]
        with visual_tokens.in_order([parts]) as order:
            for indices in order:
                try:
                    outcomes += _predict(learner, visual_tokens, indices)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    if batch_size == 1:
                        raise OutOfMemory("Out of memory in evaluation with one sample at a time.") from error
                    batch_size = max(1, batch_size // 2)
                    progress(f"out of memory: going on with batches of {batch_size}", len(outcomes), NOTICE)
                    break
                progress("predicting", len(outcomes), total)
    return outcomes


_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "nable to find an engine",
)
"""What allocators say, and cuBLAS and cuDNN where their own workspaces find no room (cuDNN: no engine that fits)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _NO_MEMORY)


@torch.inference_mode()
def _predict(learner: Learner, visual_tokens: VisualTokens, indices: Sequence[int]) -> list[Outcome]:
    batch = visual_tokens.batch(indices, with_targets=False)
    return outcomes_of(batch.sample_ids, learner.predict(batch))
