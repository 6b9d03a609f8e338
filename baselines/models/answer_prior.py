"""The named model `answer-prior`, which answers questions without the image. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.answers import SHORT_ANSWERS
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec


@dataclass(frozen=True)
class AnswerPriorModel:
    """The commonest training answer to questions that begin alike: what any model must be better than."""

    name: str
    summary: str
    answers: tuple[str, ...] = (SHORT_ANSWERS,)
    fused: bool = False
    settings: tuple[str, ...] = ()

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> AnswerPriorModel:
        """Offer none."""
        raise UsageError(f"Model '{self.name}' has no control '{control}': only fused models have controls.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is counted."""
        return {"prior": "answers by the first words of the question"}

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need none."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Count once, while training samples are at hand."""
        from baselines.learners.answer_prior import AnswerPrior, count_answers

        return AnswerPrior(context.derived.get("answers", lambda: count_answers(spec)))
