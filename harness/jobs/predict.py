"""The one evaluation loop: samples in, outcomes out, in the order of the split."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.inputs.visual_tokens import VisualTokens
from harness.measure.out_of_memory import halving
from harness.metrics.plain_answers import outcomes_of
from harness.protocols import NOTICE, Learner, Progress
from harness.sample import Outcome


def predict_all(learner: Learner, visual_tokens: VisualTokens, batch_size: int, progress: Progress) -> list[Outcome]:
    """Predict a whole split; halves the batch when memory runs out, and says so.

    Raises OutOfMemory when even one sample does not fit, DataError for answers that are no plain values, or not finite.
    """
    outcomes: list[Outcome] = []
    total = len(visual_tokens)

    def go_on(size: int) -> None:
        parts = [range(start, min(start + size, total)) for start in range(len(outcomes), total, size)]
        with visual_tokens.in_order([parts]) as order:
            for indices in order:
                outcomes.extend(_predict(learner, visual_tokens, indices))
                progress("predicting", len(outcomes), total)

    def tell(size: int) -> None:
        progress(f"out of memory: going on with batches of {size}", len(outcomes), NOTICE)

    halving(go_on, max(1, min(batch_size, total)), tell, "in evaluation with")
    return outcomes


@torch.inference_mode()
def _predict(learner: Learner, visual_tokens: VisualTokens, indices: Sequence[int]) -> list[Outcome]:
    batch = visual_tokens.batch(indices, with_targets=False)
    return outcomes_of(batch.sample_ids, learner.predict(batch))
