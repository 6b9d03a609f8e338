"""The one evaluation loop: samples in, outcomes out, in the order of the split."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from harness.errors import DataError
from harness.inputs.visual_tokens import VisualTokens
from harness.measure.out_of_memory import halving
from harness.metrics.plain_answers import outcomes_and_failures
from harness.protocols import NOTICE, AnswersInStream, Learner, Progress
from harness.sample import Outcome, Prediction
from harness.text.failed_samples import no_answers_told

_AHEAD = 1024
"""So many samples are begun before the first of them has its answer: one that is asked for again holds up no other."""


@dataclass
class SplitAnswers:
    """What a learner has answered of a split, why it has not answered some samples, by id, and in which batches."""

    outcomes: list[Outcome] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    batch_size: int = 0

    def __len__(self) -> int:
        return len(self.outcomes) + len(self.failed)

    def add(self, sample_ids: Sequence[str], answers: list[Prediction]) -> None:
        """Take in the answers of a batch; raises DataError for what is no plain value."""
        outcomes, failed = outcomes_and_failures(sample_ids, answers)
        self.outcomes += outcomes
        self.failed |= failed


def predict_all(learner: Learner, visual_tokens: VisualTokens, batch_size: int, progress: Progress) -> list[Outcome]:
    """Predict a whole split, where no sample may fail; as `answer_split`, raises DataError for one that does."""
    answers = answer_split(learner, visual_tokens, batch_size, progress)
    for sample_id, reason in answers.failed.items():
        raise DataError(f"There is no answer for sample {sample_id}: {reason}")
    return answers.outcomes


def answer_split(learner: Learner, visual_tokens: VisualTokens, batch_size: int, progress: Progress) -> SplitAnswers:
    """Predict a whole split; halves the batch when memory runs out, and says so.

    Raises OutOfMemory when even one sample does not fit, DataError for answers that are no plain values, or not finite.
    """
    answers = SplitAnswers()
    total = len(visual_tokens)

    def go_on(size: int) -> None:
        parts = [range(start, min(start + size, total)) for start in range(len(answers), total, size)]
        with visual_tokens.in_order([parts]) as order:
            for sample_ids, found in _answered(learner, visual_tokens, order):
                answers.add(sample_ids, found)
                progress("predicting", len(answers), total)

    def tell(size: int) -> None:
        progress(f"out of memory: going on with batches of {size}", len(answers), NOTICE)

    _, answers.batch_size = halving(go_on, max(1, min(batch_size, total)), tell, "in evaluation with")
    if answers.failed:
        progress(no_answers_told(answers.failed, total), len(answers), NOTICE)
    return answers


def _answered(
    learner: Learner, visual_tokens: VisualTokens, order: Iterator[Sequence[int]]
) -> Iterator[tuple[tuple[str, ...], list[Prediction]]]:
    """Give the answers of each batch with the ids of its samples."""
    if not isinstance(learner, AnswersInStream):
        for indices in order:
            yield _predict(learner, visual_tokens, indices)
        return
    begun: deque[tuple[tuple[str, ...], Callable[[], list[Prediction]]]] = deque()
    with learner.answering() as begin:
        for indices in order:
            batch = visual_tokens.batch(indices, with_targets=False)
            begun.append((batch.sample_ids, begin(batch)))
            if sum(len(ids) for ids, _ in begun) >= _AHEAD:
                sample_ids, wait = begun.popleft()
                yield sample_ids, wait()
        for sample_ids, wait in begun:
            yield sample_ids, wait()


@torch.inference_mode()
def _predict(
    learner: Learner, visual_tokens: VisualTokens, indices: Sequence[int]
) -> tuple[tuple[str, ...], list[Prediction]]:
    batch = visual_tokens.batch(indices, with_targets=False)
    return batch.sample_ids, learner.predict(batch)
