"""One fusion operator under one name for every task whose head can take it: it writes captions, and it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from baselines.models.discriminative import DiscriminativeModel
from baselines.models.generative import FUSED_CONTROLS, GenerativeModel
from harness.cell import ModelOptions
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec


@dataclass(frozen=True)
class SharedModel:
    """Two compositions around the same operator; the kind of answer says which is meant."""

    writer: GenerativeModel
    answerer: DiscriminativeModel
    fused: bool = True

    @property
    def name(self) -> str:
        """The name of both."""
        return self.writer.name

    @property
    def summary(self) -> str:
        """What both say of themselves."""
        return f"{self.writer.summary}; {self.answerer.summary}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The kinds of answer of both."""
        return (*self.writer.answers, *self.answerer.answers)

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of both."""
        return self.writer.settings

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """The controls of the composition that gives this kind of answer."""
        return self._for(answers).controls_for(answers)

    def with_control(self, control: str) -> SharedModel:
        """Make a control of both compositions, where both offer it."""
        writer = self.writer.with_control(control) if control in FUSED_CONTROLS else self.writer
        return replace(self, writer=writer, answerer=self.answerer.with_control(control))

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed for the kind of answer of the options."""
        return self._for(options.answers).recipe(options)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Name what must be trained first."""
        return self._for(options.answers).prerequisite(options)

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build for a task."""
        return self._for(spec.answers).build(spec, context)

    def _for(self, answers: str) -> GenerativeModel | DiscriminativeModel:
        return self.answerer if answers in self.answerer.answers else self.writer
