"""A study's cells: each setting that claims ask for is planned once, as `bench run` plans it, for all models of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.answers import LABELS
from harness.cell import Cell
from harness.condition import Condition
from harness.errors import BenchError
from harness.judge.study.aims import Aim, breadth_of
from harness.judge.verdict.evidence import FusionControls
from harness.judge.verdict.needs import SUGGESTED_SEQUENCE, ClaimSubject, NeededRun, TaskSetting
from harness.perturb.grids import parse_grid
from harness.perturb.natural_shifts import own_shifts
from harness.perturb.perturbation import Perturbation
from harness.plan.config import RunConfig
from harness.plan.names import words
from harness.plan.plugins import load_all_perturbations, load_model
from harness.plan.run_plan import Environment, Plan, data_context, plan_run
from harness.protocols import Progress, Task, open_data
from harness.sample import limited

_GROUPS_SPLIT = "groups"
"""The split of the built-in data whose samples stand in groups that are large enough."""
_BIASED: TaskSetting = ("badge_agreement", 0.95)
"""The setting under which built-in training data tie an attribute of these groups to labels."""


@dataclass(frozen=True)
class Variation:
    """Settings of a run that differ from the study's own: training samples, tuning, split, domains, the task's."""

    limit: int | None = None
    tune: str | None = None
    split: str | None = None
    data: tuple[TaskSetting, ...] = ()
    sequence: str | None = None
    shots: int | None = None

    @classmethod
    def of(cls, run: NeededRun) -> Variation:
        """The settings of a needed run."""
        return cls(run.limit, run.tune, run.split, run.data, run.sequence, run.shots)

    @property
    def words(self) -> str:
        """Say the settings as flags; nothing for the study's own."""
        told = (
            f"--set train.limit={self.limit}" if self.limit else "",
            f"--tune {self.tune}" if self.tune else "",
            f"--split {self.split}" if self.split else "",
            *(f"--set task.{name}={value}" for name, value in self.data),
            f"--set train.shots={self.shots}" if self.shots else "",
            f"--set train.sequence={self.sequence}" if self.sequence else "",
        )
        return " ".join(word for word in told if word)

    def changed(self, config: RunConfig, names: Sequence[str]) -> RunConfig:
        """Lay the settings over a study's, for models that are named as `--model` takes them."""
        request = replace(config.request, model=",".join(names), tune=self.tune or config.request.tune)
        request = replace(request, split=self.split or config.request.split, perturb=None, explain=None)
        train = config.train if self.limit is None else replace(config.train, limit=self.limit)
        train = replace(train, sequence=self.sequence or "", shots=self.shots)
        options = config.options if self.tune is None else replace(config.options, tune=self.tune)
        settings = {**config.task_settings, **dict(self.data)}
        return replace(config, request=request, train=train, options=options, task_settings=settings)


@dataclass(frozen=True)
class PlannedVariation:
    """A variation with its run's settings, its plan, and on how many samples it is evaluated."""

    config: RunConfig
    plan: Plan
    samples: int


@dataclass(frozen=True)
class StudyCells:
    """All cells of a study by variation, and the conditions that `--perturb` understands."""

    variations: Mapping[Variation, PlannedVariation]
    perturbations: Mapping[str, Perturbation]

    def planned(self, run: NeededRun) -> PlannedVariation:
        """The plan that a needed run is part of."""
        return self.variations[Variation.of(run)]

    def cells(self, run: NeededRun) -> tuple[Cell, ...]:
        """The cells of a needed run, one a seed (and prompt)."""
        return tuple(
            cell
            for cell in self.planned(run).plan.cells
            if (cell.model, cell.training.control) == (run.model, run.control)
        )

    def absent(self, run: NeededRun) -> str:
        """Say why a needed run cannot be made here; nothing where it can."""
        lacking = self.planned(run).plan.absent
        return next((a.reason for a in lacking if (a.model, a.control) == (run.model, run.control)), "")

    def conditions(self, run: NeededRun) -> tuple[Condition, ...]:
        """The conditions of a needed run, without the clean one."""
        if not run.conditions:
            return ()
        return parse_grid(",".join(run.conditions), self.perturbations, ())[1:]


def plan_cells(
    config: RunConfig, task: Task, aims: Iterable[Aim], environment: Environment, progress: Progress
) -> StudyCells:
    """Plan every variation that the aims ask for; raises BenchError for whatever the user must mend first."""
    models: dict[Variation, dict[str, None]] = {}
    for run in (run for aim in aims for run in aim.runs):
        models.setdefault(Variation.of(run), {})[run.name] = None
    found = {}
    for variation, names in models.items():
        own = variation.changed(config, list(names))
        plan = plan_run(own, task.name, environment, progress)
        limit = plan.cells[0].evaluate.limit if plan.cells else None
        found[variation] = PlannedVariation(own, plan, len(limited(task.samples(plan.data, plan.split), limit)))
    return StudyCells(found, load_all_perturbations()[0])


def subjects_of(
    config: RunConfig, task: Task, models: Sequence[str], fusion: FusionControls, environment: Environment,
    progress: Progress, stand_in: str | None = None,
) -> list[ClaimSubject]:  # fmt: skip
    """Find out of each fused model what decides which runs claims about it read."""
    breadth, (groups, embedded) = breadth_of(config.study), _groups(config, task, environment, progress)
    if not breadth.sequence:
        breadth = replace(breadth, sequence=_sequence(config, task, environment, progress))
    return [
        ClaimSubject(
            model=name,
            controls=fusion.controls[name],
            metrics=task.metrics,
            policy=_policy(config, task, name),
            stand_in=stand_in,
            timed=config.measure.timed,
            groups=groups,
            biased=(_BIASED,) if embedded and _GROUPS_SPLIT in groups else (),
            breadth=breadth,
            one_class=_has_one_class(config, task, environment, progress),
        )
        for name in models
    ]


def _has_one_class(config: RunConfig, task: Task, environment: Environment, progress: Progress) -> bool:
    """Whether each training sample has one class, so that samples can be counted by class."""
    if task.answers != LABELS:
        return False
    classes = task.spec(open_data(task, data_context(config, task, environment, progress)), ()).classes
    return len(classes) > 0 and not classes.multilabel


def _sequence(config: RunConfig, task: Task, environment: Environment, progress: Progress) -> str:
    """The domains that forgetting is looked at on where the user names none; "" where the data bring none."""
    data = open_data(task, data_context(config, task, environment, progress))
    offered = own_shifts(task, data)
    return ",".join(name for name in words(SUGGESTED_SEQUENCE) if name in offered)


def _policy(config: RunConfig, task: Task, name: str) -> str | None:
    """How the language model of a model is tuned where nothing more is said; None where it has none to tune."""
    model = load_model(name)
    own = {key: value for key, value in config.options.settings.items() if key in model.settings}
    options = replace(config.options, settings=own, task=task.name, answers=task.answers)
    try:
        policy: str | None = model.recipe(options).get("tune") or config.options.tune
    except (BenchError, KeyError, TypeError, ValueError, AttributeError, OSError):  # its plan will say why
        return config.options.tune
    return policy


def _groups(
    config: RunConfig, task: Task, environment: Environment, progress: Progress
) -> tuple[dict[str, dict[str, int]], bool]:
    """Count the samples of each group, for splits whose samples all stand in one of several; are data embedded?"""
    context = data_context(config, task, environment, progress)
    data = open_data(task, context)
    found = {}
    for split in dict.fromkeys((config.request.split or data.default_split, _GROUPS_SPLIT)):
        if split not in data.splits or (split == _GROUPS_SPLIT and _BIASED[0] not in task.settings):
            continue
        opened = open_data(task, replace(context, split=split))
        samples = limited(task.samples(opened, split), config.evaluate.limit)
        counts = _counted([getattr(sample.target, "slices", ()) for sample in samples])
        if len(counts) > 1:
            found[split] = counts
    return found, data.embedded


def _counted(slices: Sequence[Any]) -> dict[str, int]:
    """How many samples each group has; nothing where a sample stands in none, or in several."""
    if not all(len(names) == 1 for names in slices):
        return {}
    counts: dict[str, int] = {}
    for (name,) in slices:
        counts[name] = counts.get(name, 0) + 1
    return counts
