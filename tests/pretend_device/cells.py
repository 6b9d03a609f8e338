"""Plans cells as the command does and runs their jobs in this process, on a pretended device."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell, Places
from harness.jobs import named_jobs, robustness_job
from harness.jobs.robustness_block import FAILED, Answers, RobustnessBlock, Subject
from harness.perturb.attack import pixel_attack
from harness.perturb.attack.request import ATTACK_FAMILY, AttackOptions
from harness.plan.conditions import plan_robustness
from harness.plan.config import RunConfig, build_config
from harness.plan.plugins import load_perturbations
from harness.plan.run_plan import Environment, Plan, plan_run

from .device_tensor import PretendDevice

SETTINGS = (
    "train.steps=1", "train.batch_size=2", "train.limit=8", "train.validation_limit=2", "train.validations=1",
    "train.gate_steps=0", "evaluate.batch_size=2", "evaluate.limit=2", "evaluate.emap=2", "measure.runs=1",
    "measure.warmups=0", "measure.throughput_batch=2", "measure.throughput_runs=1", "decode.max_tokens=2",
    "perturb.attack_limit=2", "perturb.limit=2", "model.language_layers=1",
)  # fmt: skip
"""As little of everything as goes through every line of it."""
_FEW = AttackOptions(
    pgd_steps=1, apgd_steps=2, queries=2, gate_samples=1, gate_steps=(1, 2), gate_queries=1, text_draws=1,
    class_queries=1, class_samples=2,
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What `bench run` would be told: the task, its models, and further options and settings."""

    task: str
    model: str
    flags: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    def planned(self, folders: Folders, device: str) -> tuple[RunConfig, Plan]:
        """Plan it for a device, whose jobs compute on just that one; returns the configuration too."""
        cache = folders.cache
        flags = {"profile": "smoke", "language": str(folders.language), **self.flags}
        flags |= {"task": self.task, "model": self.model}
        config = build_config({**flags, "device": device}, [*SETTINGS, *self.settings], task=self.task)
        plan = plan_run(config, self.task, Environment(cache, cache), quiet)
        cells = tuple(replace(cell, training=replace(cell.training, device=device)) for cell in plan.cells)
        return config, replace(plan, cells=cells)


def quiet(phase: str, done: int, total: int) -> None:
    """Take a job's progress and say nothing."""


@dataclass(frozen=True)
class Ran:
    """A cell that has been trained and has answered."""

    cell: Cell
    places: Places
    answers: list[Any]


@dataclass(frozen=True)
class RunOnDevice:
    """All cells of a wish, on one device; `config` and `plan` are what the command would have made of it."""

    config: RunConfig
    plan: Plan
    ran: tuple[Ran, ...]


@dataclass(frozen=True)
class Folders:
    """Where a run finds its data, its backbone and its language model, and where it writes."""

    cache: Path
    prerequisite: Path
    language: Path
    results: Path


def run_cells(wish: Wish, folders: Folders, pretend: PretendDevice) -> RunOnDevice:
    """Train and answer every cell of a wish; raises what the first that fails raised."""
    config, plan = wish.planned(folders, f"cuda:{pretend.index}")
    assert plan.cells and not plan.broken
    return RunOnDevice(config, plan, tuple(_run(cell, folders) for cell in plan.cells))


def _run(cell: Cell, folders: Folders) -> Ran:
    prerequisite = None if cell.training.prerequisite is None else folders.prerequisite
    places = Places(folders.cache, folders.results / cell.fingerprint, prerequisite)
    try:
        named_jobs.train(cell.training, places, quiet)
        predicted = named_jobs.predict(cell, places, quiet)
        answers = [outcome.prediction for outcome in predicted.outcomes]
        json.dumps(answers)
    except Exception as error:
        error.add_note(f"in {cell.label} on {cell.training.device}")
        raise
    return Ran(cell, places, answers)


def perturbed(
    run: RunOnDevice, grid: str, folders: Folders, models: Sequence[Ran] | None = None, *, gates: bool = True
) -> Counter[str]:
    """Answer under the conditions of a grid, attacks with the smallest budgets; counts answers by status.

    Without `gates` attacks are not examined, which takes longer than they do. Raises AssertionError with the traceback
    of what failed.
    """
    subjects = tuple(Subject(one.cell, one.places) for one in models or run.ran)
    config = replace(run.config, request=replace(run.config.request, perturb=grid))
    sweep = plan_robustness(config, run.plan, Environment(folders.cache, folders.cache), quiet)
    assert sweep is not None
    conditions = tuple(condition for condition in sweep.conditions if condition.shift is None)
    spool = folders.results / "spool"
    block = RobustnessBlock(subjects, conditions, run.plan.data, run.plan.split, sweep.options, spool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness_job, "load_perturbations", _hasty)
        if not gates:
            patch.setattr(pixel_attack, "gate_notes", lambda *_: {})
        named_jobs.answer_conditions(block, quiet)
    found = Counter[str]()
    for subject in subjects:
        for condition in conditions:
            answers = Answers.read(block.file(subject, condition))
            assert answers.status != FAILED, f"{subject.cell.label} {condition.label}: {answers.error} {answers.trace}"
            found[f"{condition.label} {answers.status}"] += 1
    return found


def _hasty() -> dict[str, Any]:
    """All perturbations, the attacks among them with so few steps that they only show that they run."""
    known: dict[str, Any] = dict(load_perturbations())
    return {name: replace(one, options=_FEW) if one.family == ATTACK_FAMILY else one for name, one in known.items()}
