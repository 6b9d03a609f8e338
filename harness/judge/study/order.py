"""The order of a study: what decides a claim with the least further work comes first, as far as a budget allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from harness.cell import Cell
from harness.errors import UsageError
from harness.judge.study.aims import Aim
from harness.judge.study.planning import StudyCells
from harness.judge.study.prices import Price, Prices
from harness.judge.verdict.needs import NeededRun
from harness.text.said_time import duration_text


@dataclass(frozen=True)
class StudyStep:
    """What is run to decide one claim about one model, beside what earlier steps have run.

    `runs` are those of the claim that add something; `cells` and `conditions` count what is to be done, `price` is what
    that costs on one core.
    """

    aim: Aim
    runs: tuple[NeededRun, ...]
    cells: int
    conditions: int
    price: Price


@dataclass(frozen=True)
class Dropped:
    """A claim about a model that is not planned, and why."""

    aim: Aim
    reason: str


@dataclass(frozen=True)
class Budget:
    """The seconds of the clock that a whole command may take, None for any number, from `started` (monotonic) on."""

    seconds: float | None
    started: float

    @property
    def left(self) -> float | None:
        """Seconds that are left now; None for any number."""
        return None if self.seconds is None else max(0.0, self.seconds - (time.monotonic() - self.started))


@dataclass(frozen=True)
class Work:
    """Knows what is done already: `is_done` of a cell, `scored` gives the labels of the conditions that a cell
    has scores under.

    `perturb_limit` is on how many samples a condition is scored at most, `explain_limit` how many are explained.
    """

    cells: StudyCells
    prices: Prices
    is_done: Callable[[Cell], bool]
    scored: Callable[[Cell], set[str]]
    perturb_limit: int | None = None
    explain_limit: int = 100

    def step(self, aim: Aim, taken: Taken) -> StudyStep:
        """Price a claim about a model beside the work that is taken already."""
        runs, price, cells, conditions = [], Price(), 0, 0
        first: set[str] = set()
        trained: set[str] = set()  # other splits are answered by the same training
        for run in aim.runs:
            samples = self.cells.planned(run).samples
            new = [c for c in self.cells.cells(run) if c.fingerprint not in taken.cells and not self.is_done(c)]
            lacking = [(cell, self._lacking(run, cell, taken)) for cell in self.cells.cells(run)]
            perturbed = min(samples, self.perturb_limit or samples)
            for cell in new:
                own = cell.training.fingerprint
                price += self.prices.of_cell(cell, samples, trained=own in taken.trainings or own in trained)
                trained.add(own)
            first |= {name for cell in new if (name := cell.training.prerequisite) and name not in taken.first}
            for cell, names in lacking:
                maps = sum(name in map(explained_label, run.explain) for name in names)
                price += self.prices.of_conditions(cell, len(names) - maps, perturbed)
                price += self.prices.of_explanations(cell, maps, min(samples, self.explain_limit))
            cells, conditions = cells + len(new), conditions + sum(len(names) for _, names in lacking)
            if new or any(names for _, names in lacking):
                runs.append(run)
        return StudyStep(aim, tuple(runs), cells, conditions, price + self.prices.of_first(first))

    def least_cell(self, aims: Iterable[Aim]) -> float:
        """Seconds of the cheapest cell that is to be run; 0 where none is."""
        found = [
            self.prices.of_cell(cell, self.cells.planned(run).samples).seconds
            for aim in aims
            for run in aim.runs
            for cell in self.cells.cells(run)
            if not self.is_done(cell)
        ]
        return min(found, default=0.0)

    def pending(self, steps: Iterable[StudyStep]) -> list[Cell]:
        """The cells of some steps that are to be run, each once."""
        found = {c.fingerprint: c for step in steps for run in step.runs for c in self.cells.cells(run)}
        return [cell for cell in found.values() if not self.is_done(cell)]

    def take(self, step: StudyStep, taken: Taken) -> None:
        """Count a step's work as taken."""
        for run in step.runs:
            for cell in self.cells.cells(run):
                taken.conditions.update((cell.fingerprint, label) for label in self._labels(run))
                taken.cells.add(cell.fingerprint)
                taken.trainings.add(cell.training.fingerprint)
                taken.first.update([cell.training.prerequisite] if cell.training.prerequisite else [])

    def _lacking(self, run: NeededRun, cell: Cell, taken: Taken) -> list[str]:
        wanted = self._labels(run)
        there = self.scored(cell) if wanted else set()
        return [name for name in wanted if name not in there and (cell.fingerprint, name) not in taken.conditions]

    def _labels(self, run: NeededRun) -> list[str]:
        """What a needed run asks of a trained model: its conditions and its methods of explanation."""
        return [*(condition.label for condition in self.cells.conditions(run)), *map(explained_label, run.explain)]


def explained_label(method: str) -> str:
    """Name explanations by a method among the conditions of a model."""
    return f"explain {method}"


@dataclass
class Taken:
    """The work of the chosen steps: cells and trainings by fingerprint, their conditions, what they build on."""

    cells: set[str] = field(default_factory=set)
    trainings: set[str] = field(default_factory=set)
    first: set[str] = field(default_factory=set)
    conditions: set[tuple[str, str]] = field(default_factory=set)


def in_order(
    aims: Sequence[Aim], work: Work, slots: int, seconds_left: float | None = None
) -> tuple[list[StudyStep], list[Dropped]]:
    """Choose again and again the aim that costs least beside what is taken; drops what goes beyond the time left.

    `slots` jobs run side by side.
    """
    dropped = [Dropped(aim, reason) for aim in aims if (reason := _why_not(aim, work.cells))]
    left = [aim for aim in aims if not _why_not(aim, work.cells)]
    steps: list[StudyStep] = []
    taken, spent = Taken(), 0.0
    while left:
        priced = [work.step(aim, taken) for aim in left]
        step = min(priced, key=lambda each: each.price.seconds)
        seconds = step.price.seconds / slots
        if seconds_left is not None and spent + seconds > seconds_left and step.runs:
            room = f"{duration_text(max(0.0, seconds_left - spent))} are left"
            dropped += [
                Dropped(each.aim, f"beyond the budget: takes {duration_text(each.price.seconds / slots)}, {room}")
                for each in priced
            ]
            break
        work.take(step, taken)
        steps.append(step)
        spent += seconds
        left.remove(step.aim)
    return steps, dropped


def require_time(aims: Sequence[Aim], work: Work, budget: Budget) -> None:
    """Raise UsageError for a budget whose rest is smaller than one cell of what can run."""
    least = work.least_cell(aim for aim in aims if not _why_not(aim, work.cells))
    left = budget.left
    if budget.seconds is not None and left is not None and left < least:
        raise UsageError(
            f"--budget: {duration_text(budget.seconds)} is less than planning and one cell take here: "
            f"{duration_text(budget.seconds - left)} until now, and about {duration_text(least)}. "
            "Give more, or smaller settings (--profile, --set train.steps=…)."
        )


def _why_not(aim: Aim, cells: StudyCells) -> str:
    if aim.reason:
        return aim.reason
    return next((f"{run.name} cannot run here: {reason}" for run in aim.runs if (reason := cells.absent(run))), "")
