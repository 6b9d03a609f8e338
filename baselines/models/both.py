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
    """Two compositions around the same operator; the task says which is meant."""

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
    def tasks(self) -> tuple[str, ...]:
        """The tasks of both."""
        return (*self.writer.tasks, *self.answerer.tasks)

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of both."""
        return self.writer.settings

    def controls_for(self, task: str) -> tuple[str, ...]:
        """The controls of the composition that serves the task."""
        return self._for(task).controls_for(task)

    def with_control(self, control: str) -> SharedModel:
        """Make a control of both compositions, where both offer it."""
        writer = self.writer.with_control(control) if control in FUSED_CONTROLS else self.writer
        return replace(self, writer=writer, answerer=self.answerer.with_control(control))

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed for the task of the options."""
        return self._for(options.task).recipe(options)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Name what must be trained first."""
        return self._for(options.task).prerequisite(options)

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build for a task."""
        return self._for(spec.task).build(spec, context)

    def _for(self, task: str) -> GenerativeModel | DiscriminativeModel:
        return self.answerer if task in self.answerer.tasks else self.writer
