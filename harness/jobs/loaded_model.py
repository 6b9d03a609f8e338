"""A trained model that answers under one condition after the other, and what it has answered so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.errors import BenchError
from harness.jobs.device_errors import ends_process, refused_operation
from harness.jobs.robustness_block import FAILED, Answers, Subject
from harness.measure.device import autocast
from harness.metrics.plain_answers import outcomes_and_failures
from harness.protocols import AnswersInStream, Learner, ReadsText
from harness.sample import Batch, Prediction
from harness.text.error_text import error_text, named_error, traceback_text

_AHEAD = 256
"""So many samples are begun before the first of them has its answer: their images are in memory."""


@dataclass
class LoadedModel:
    """A loaded model and what it has answered so far in the group of conditions at hand."""

    subject: Subject
    learner: Learner
    reads: tuple[str, ...]
    worded: tuple[tuple[str, ...], ...] | None = None
    answers: dict[str, list[Any]] = field(default_factory=dict)
    errors: dict[str, Answers] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    """By condition, the samples that it was not able to answer, and why."""
    _begin: Callable[[Batch], Callable[[], list[Prediction]]] | None = None
    _begun: deque[tuple[str, Sequence[str], Callable[[], list[Prediction]]]] = field(default_factory=deque)

    @property
    def precision(self) -> AbstractContextManager[Any]:
        """A block in which it answers in the precision that its cell is evaluated in."""
        cell = self.subject.cell
        return autocast(cell.training.device, cell.evaluate.precision)

    def reword(self, class_texts: tuple[tuple[str, ...], ...]) -> None:
        """Have the learner read these texts for the classes, unless it does already or reads none."""
        if "classes" in self.reads and self.worded != class_texts:
            assert isinstance(self.learner, ReadsText)
            self.learner.reword(class_texts)
            self.worded = class_texts

    def begin(self, condition: str, batch: Batch, stack: ExitStack) -> None:
        """Answer a batch; one that asks a service works on until `stack` is left, or `finish` waits for all."""
        if not isinstance(self.learner, AnswersInStream):
            self._take(condition, batch.sample_ids, self.learner.predict(batch))
            return
        if self._begin is None:
            self._begin = stack.enter_context(self.learner.answering())
            stack.callback(self._end)
        self._begun.append((condition, batch.sample_ids, self._begin(batch)))
        while sum(len(sample_ids) for _, sample_ids, _ in self._begun) > _AHEAD:
            self._take_first()

    def finish(self, beat: Callable[[], None]) -> None:
        """Wait for all that is begun."""
        while self._begun:
            beat()
            self._take_first()

    @contextmanager
    def noting_errors(self, condition: str) -> Iterator[None]:
        """Let what goes wrong in a block end this model under this condition; raises what ends the process."""
        try:
            yield
        except Exception as error:
            if ends_process(error):
                raise
            self.errors[condition] = explained(error)
            self.answers.pop(condition, None)

    def _take_first(self) -> None:
        condition, sample_ids, wait = self._begun.popleft()
        if condition not in self.errors:
            with self.noting_errors(condition):
                self._take(condition, sample_ids, wait())

    def _take(self, condition: str, sample_ids: Sequence[str], predictions: list[Prediction]) -> None:
        found, failed = outcomes_and_failures(sample_ids, predictions)
        self.failed.setdefault(condition, {}).update(failed)
        self.answers.setdefault(condition, []).extend(outcome.prediction for outcome in found)

    def _end(self) -> None:
        self._begin = None
        self._begun.clear()


def explained(error: Exception) -> Answers:
    """Put an error into a sentence; what is not deliberate is a bug and keeps its traceback."""
    error = refused_operation(error) or error
    if isinstance(error, BenchError):
        return Answers(FAILED, error=error_text(error))
    return Answers(FAILED, error=named_error(error), trace=traceback_text())
