"""One fusion operator as a model: it writes and it answers, wherever a head can take it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.fusion.operator import FusionOperator, find_operator, operator_names
from baselines.load_options import FOR_PARTS, SettlesLoading
from baselines.models.discriminative import DiscriminativeModel
from baselines.models.generative import FUSED_CONTROLS, GenerativeModel
from baselines.settings import setting_names
from harness.answers import CAPTIONS
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.plan.parts import part_names
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

FAMILY = "fuse"


@dataclass(frozen=True)
class FusionModel(SettlesLoading):
    """An operator of `bench.fusion` with the default backbone and language model; the kind of answer says which side.

    `only` keeps its discriminative side to some kinds of answer, `writes` are those of the other. `operator` is the
    name of its entry point; `parts(options)` names the code behind it as `package.module:Name`.
    """

    name: str
    operator: str
    only: tuple[str, ...] = ()
    writes: tuple[str, ...] = (CAPTIONS,)
    control: str | None = None
    fused: bool = True

    @property
    def summary(self) -> str:
        """What its operator says of itself."""
        return self._declared.summary

    @property
    def answers(self) -> tuple[str, ...]:
        """What both sides answer with."""
        return tuple(kind for side in self._sides for kind in side.answers)

    @property
    def settings(self) -> tuple[str, ...]:
        """Those of compositions and of all installed parts."""
        return setting_names()

    @property
    def loads_with(self) -> Sequence[str]:
        """What a backbone and a language model can do."""
        return FOR_PARTS

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """The controls of the side that gives this kind of answer."""
        return self._side(answers).controls_for(answers)

    def with_control(self, control: str) -> FusionModel:
        """Make a control that some side offers; raises UsageError for any other."""
        offered = sorted({offer for side in self._sides for kind in side.answers for offer in side.controls_for(kind)})
        if control not in offered:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, offered)}")
        return replace(self, control=control)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed for the kind of answer of the options."""
        return self._side(options.answers).recipe(options)

    def parts(self, options: ModelOptions) -> tuple[str, ...]:
        """Name the code of each part that is found by entry point, for the kind of answer of the options."""
        return self._side(options.answers).parts(options)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Name what must be trained first."""
        return self._side(options.answers).prerequisite(options)

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build for a task."""
        return self._side(context.options.answers or spec.answers).build(spec, context)

    @property
    def _declared(self) -> FusionOperator:
        return find_operator(self.operator)

    @property
    def _sides(self) -> tuple[GenerativeModel | DiscriminativeModel, ...]:
        operator = self._declared
        sides: list[GenerativeModel | DiscriminativeModel] = []
        if operator.decoder is not None:
            own = self.control if self.control in FUSED_CONTROLS else None
            writer = GenerativeModel(self.name, operator.summary, "pretrained", operator.name, control=own)
            sides.append(replace(writer, answers=self.writes))
        if operator.features is not None:
            sides.append(
                DiscriminativeModel(
                    self.name,
                    operator.summary,
                    fusion=operator.name,
                    by_text=not operator.reads_pooled,
                    control=self.control,
                    only=self.only,
                )
            )
        return tuple(sides)

    def _side(self, answers: str) -> GenerativeModel | DiscriminativeModel:
        """The side that gives a kind of answer, the first where none is named; raises UsageError."""
        found = [side for side in self._sides if not answers or answers in side.answers]
        if not found:
            raise UsageError(f"Model '{self.name}' does not answer with {answers}. {nearest(answers, self.answers)}")
        return found[0]


class FusionFamily:
    """Names with the prefix `fuse:` (group `bench.model_families`): a model of any installed operator."""

    def __call__(self, name: str) -> FusionModel:
        """Turn `fuse:NAME` into a model; raises UsageError for an operator that is not installed."""
        return FusionModel(name, find_operator(name.partition(":")[2]).name)

    def names(self) -> list[str]:
        """Name the operators that no model of `bench.models` is called as: these are listed, and run in `all`."""
        named = part_names("models")
        return [f"{FAMILY}:{operator}" for operator in operator_names() if operator not in named]
