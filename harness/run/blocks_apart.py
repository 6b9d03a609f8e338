"""Answers a block of conditions so that what goes wrong with one model is recorded of no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.jobs.robustness_block import FAILED, Answers, RobustnessBlock, Subject
from harness.run.job_server import CLOSED, LOST_DEVICE, JobFailure

_SMALL_CHUNK = 8
"""Samples in memory at once where a block has failed, which was most often for lack of it."""


@dataclass(frozen=True)
class ApartWhereItFails:
    """Has blocks answered by `answer`, each by a process, and in smaller parts where that process fails.

    `lost` are models that cannot answer at all, by their cell's fingerprint; `say` is told what was done.
    """

    answer: Callable[[RobustnessBlock], None]
    lost: Mapping[str, JobFailure]
    say: Callable[[str], None]

    def run(self, block: RobustnessBlock) -> list[RobustnessBlock]:
        """Answer a block and return its parts, each with an answer or a failure in the spool for all it names.

        When its process dies each model is run alone, so that only the guilty one fails; when that one has lost its
        device, each condition that is left too. Raises JobFailure when the run has ended.
        """
        lost = tuple(s for s in block.subjects if s.cell.fingerprint in self.lost)
        for subject in lost:
            _fail(block, subject, self.lost[subject.cell.fingerprint])
        there = tuple(s for s in block.subjects if s not in lost)
        if lost:
            return [replace(block, subjects=lost), *(self.run(replace(block, subjects=there)) if there else ())]
        try:
            self.answer(block)
        except JobFailure as failure:
            if failure.kind == CLOSED:
                raise
            return self._apart(block, failure)
        return [block]

    def _apart(self, block: RobustnessBlock, failure: JobFailure) -> list[RobustnessBlock]:
        if len(block.subjects) > 1:
            self.say(f"{failure.message.rstrip('.')}. Going on with one model at a time.")
            alone = [replace(block, subjects=(subject,), chunk=_SMALL_CHUNK) for subject in block.subjects]
            return [part for one in alone for part in self.run(one)]
        (subject,) = block.subjects
        done = tuple(c for c in block.conditions if block.file(subject, c).is_file())
        left = tuple(c for c in block.conditions if c not in done)
        if failure.kind != LOST_DEVICE or len(left) < 2:
            _fail(block, subject, failure)
            return [block]
        self.say(f"{subject.cell.label}: {failure.message.rstrip('.')}. Going on with one condition at a time.")
        parts = [replace(block, conditions=done)] if done else []
        return parts + [part for c in left for part in self.run(replace(block, conditions=(c,)))]


def _fail(block: RobustnessBlock, subject: Subject, failure: JobFailure) -> None:
    """Leave a failure under each condition that a model has not answered under."""
    for condition in block.conditions:
        path = block.file(subject, condition)
        if not path.is_file():
            Answers(FAILED, error=failure.message, trace=failure.trace).write(path)
