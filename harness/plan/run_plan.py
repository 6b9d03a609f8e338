"""Plans a run: which cells there are, which models cannot run here, and what must be trained first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.acquire.sources import folder_of
from harness.cell import (
    Cell,
    DecodeOptions,
    Domain,
    EvaluateOptions,
    ModelOptions,
    TrainingJob,
    TrainOptions,
    fingerprint_of,
)
from harness.entry_points import as_plugin_error
from harness.errors import CheckpointError, PluginError, UsageError, WeightsUnavailable, cause_of, nearest
from harness.measure.choose_devices import Devices, DeviceWish, choose_devices
from harness.measure.provenance import OF_TRAINING, package_versions
from harness.plan.asked_models import AskedModels, asked_models
from harness.plan.code_digests import CodeDigests
from harness.plan.config import RunConfig, require_finite_settings
from harness.plan.control_choice import failed_while_planned, plan_controls
from harness.plan.data_places import remember
from harness.plan.domains import open_domains
from harness.plan.installed_metrics import load_metrics
from harness.plan.model_settings import options_for, prompts_of
from harness.plan.plugins import (
    load_model,
    load_task,
    models_for,
)
from harness.plan.taken_whole import needs_training
from harness.plan.training_recipes import by_recipe
from harness.plan.trials_check import check_trials
from harness.plan.variants import WantedVariant, lacking_packages, order_of_cells, variant_of
from harness.protocols import NOTICE, DataContext, Model, Prerequisite, Progress, Task, open_data
from harness.record import RunRecord, split_name
from harness.sample import Dataset
from harness.storage.cache_in_use import digests_remembered


@dataclass(frozen=True)
class Environment:
    """What the command line knows of the machine: only `cli.py` reads it."""

    working_directory: Path
    cache: Path
    bench_data: str | None = None
    command: str | None = None
    """The command line as it was typed, for the provenance of records; None where there was none."""


@dataclass(frozen=True)
class Absent:
    """A planned cell that cannot run here, and why; it becomes a *skipped* record.

    `named` says that its model was asked for by name, so that not to run is a failure of the command. `trace` is the
    traceback of the plugin's exception that kept it from being planned, empty where it was none.
    """

    model: str
    control: str | None
    seed: int
    reason: str
    fingerprint: str
    named: bool = False
    trace: str = ""


@dataclass(frozen=True)
class Plan:
    """A task's cells in the order in which they will run.

    Their trainings keep their state every `keep_every_s` seconds, to go on from; 0: never.
    """

    task: Task
    data: Dataset
    split: str
    devices: Devices
    cells: tuple[Cell, ...]
    absent: tuple[Absent, ...]
    prerequisites: Mapping[str, TrainingJob] = field(default_factory=dict)
    broken: tuple[PluginError, ...] = ()
    """Models that cannot even be loaded, so that nobody knows whether they serve the task; only of `all`."""
    keep_every_s: float = 0.0

    def shows(self, record: RunRecord) -> bool:
        """Tell whether a record belongs beside this plan's: on the same split, and of a planned model of this code."""
        if (record.data_digest, record.split) != (self.data.digest, self.split):
            return False
        own = {cell.fingerprint for cell in self.cells} | {absent.fingerprint for absent in self.absent}
        made_by = {(c.model, c.training.control): (c.training.versions, c.scoring) for c in self.cells}
        planned = {*made_by, *((absent.model, absent.control) for absent in self.absent)}
        row = (record.model, record.control)
        if record.fingerprint in own or row not in planned:
            return True
        known = record.cell.get("training", {}).get("versions"), record.cell.get("scoring")
        return row in made_by and known == made_by[row]


def plan_run(config: RunConfig, task_name: str, environment: Environment, progress: Progress) -> Plan:
    """Plan all cells of a task; raises BenchError for whatever the user must mend first."""
    with digests_remembered(environment.cache):
        task = load_task(task_name)
        divided = [(each, asked_models(each, task)) for each in by_recipe(config)]
        return joined_plans([_plan(each, asked, task, environment, progress) for each, asked in divided])


def joined_plans(plans: Sequence[Plan]) -> Plan:
    """Put plans of the same task on the same data into one."""
    if len(plans) == 1:
        return plans[0]
    cells = sorted((cell for plan in plans for cell in plan.cells), key=order_of_cells)
    absent = tuple(dict.fromkeys(each for plan in plans for each in plan.absent))
    jobs = {name: job for plan in plans for name, job in plan.prerequisites.items()}
    return replace(plans[0], cells=tuple(cells), absent=absent, prerequisites=jobs)


def _plan(config: RunConfig, asked: AskedModels, task: Task, environment: Environment, progress: Progress) -> Plan:
    wanted, models = asked.wanted, asked.models
    named, alone = wanted.models, config.names_one_task
    for error in load_metrics()[1]:
        progress(f"{error} It is left out.", 0, NOTICE)
    unloaded = models_for(task.name)[1] if ("all", None) in named else ()
    broken = [error for error in unloaded if error.plugin not in config.excluded]
    context = data_context(config, task, environment, progress)
    data = open_data(task, context)
    split = config.request.split or data.default_split
    if split not in data.splits:
        raise UsageError(f"{data.name} has no split '{split}'. {nearest(split, data.splits)}")
    if split == data.selection_split:
        raise UsageError(
            f"The split {split} of {data.name} selects checkpoints: its score would be too high. Choose another with "
            f"--split, or leave it out to take {data.default_split}."
        )
    check_trials(config.train, data)
    remember(task.name, data.digest, split, context)
    number_format = "bf16" if "bf16" in (config.train.precision, config.evaluate.precision) else config.train.precision
    wish = DeviceWish(config.request.device, config.request.devices, config.request.executor != "local")
    devices = choose_devices(wish, lambda message: progress(message, 0, NOTICE), number_format)
    domains = open_domains(task, data, config.train, context)
    planner = _Planner(config, task, data, devices, environment, progress, domains)
    precision = devices.precision(config.evaluate.precision)
    evaluate = replace(config.evaluate, limit=_limit(config, data), embedded_limit=None, precision=precision)
    cells: list[Cell] = []
    absent: list[Absent] = []
    controls = plan_controls(models, task.name, config.request.controls, named, progress, alone=alone)
    for model in models:
        prompts = prompts_of(model, config.options, task)
        for control, seed, prompt in product(controls[model.name], range(config.request.seeds), prompts):
            planned = planner.attempt(model, control, seed, split, prompt)
            variants = wanted.of(model.name, control, config.request.controls)
            for each in _with_variants(planned, variants, planner, split, evaluate):
                if isinstance(each, Cell):
                    cells.append(each)
                elif each not in absent:
                    absent.append(each)
    planner.code.keep()
    cells.sort(key=order_of_cells)
    return Plan(
        task, data, split, devices, tuple(cells), tuple(absent), planner.prerequisites, tuple(broken),
        config.request.checkpoint_every,
    )  # fmt: skip


def _with_variants(
    planned: TrainingJob | Absent,
    variants: Sequence[WantedVariant],
    planner: _Planner,
    split: str,
    evaluate: EvaluateOptions,
) -> list[Cell | Absent]:
    """Put after a cell those of its variants; they have its training, and cannot run where it cannot."""
    if isinstance(planned, Absent):
        return [planned, *(planner.absent_variant(planned, each, split, planned.reason) for each in variants)]
    cell = Cell(planned, split, evaluate, planner.config.measure, planner.scoring)
    found: list[Cell | Absent] = [cell]
    for each in variants:
        lacking = lacking_packages(each)
        if lacking is None:
            found.append(replace(cell, variant=variant_of(each, planner.code)))
        else:
            found.append(planner.absent_variant(planned, each, split, lacking))
    return found


def _limit(config: RunConfig, data: Dataset) -> int | None:
    """On how many samples to evaluate: a profile takes a part of built-in data alone."""
    wish = config.evaluate
    return wish.embedded_limit if wish.limit is None and data.embedded else wish.limit


def settings_for(task: Task, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Hand a task only the settings that it takes."""
    return {name: value for name, value in settings.items() if name in task.settings}


class _Planner:
    """Makes training jobs for one task on one data set, and collects their prerequisites."""

    def __init__(
        self,
        config: RunConfig,
        task: Task,
        data: Dataset,
        devices: Devices,
        environment: Environment,
        progress: Progress,
        domains: tuple[Domain, ...] = (),
    ) -> None:
        self.config, self.task, self.data, self.devices = config, task, data, devices
        self.domains = domains
        self.environment, self.progress = environment, progress
        self.prerequisites: dict[str, TrainingJob] = {}
        self._planned_prerequisites: dict[Prerequisite, str] = {}
        self.code = CodeDigests(environment.cache)
        self.packages = package_versions(OF_TRAINING)
        self.scoring = self.code.scoring_versions(task)

    def attempt(
        self, model: Model, control: str | None, seed: int, split: str, prompt: str = ""
    ) -> TrainingJob | Absent:
        """Describe one training, or say why it cannot be; a checkpoint that the user chose raises CheckpointError."""
        try:
            return self.training_job(model, control, seed, prompt)
        except (WeightsUnavailable, PluginError) as error:
            lacking = self.absent(model.name, control, seed, split, str(error))
            return replace(lacking, trace=cause_of(error))
        except CheckpointError as error:
            wish = self.config.request
            if self._is_named(model.name) or wish.vision_weights or wish.language:
                raise
            return self.absent(model.name, control, seed, split, str(error))

    def _is_named(self, model: str) -> bool:
        return model in {split_name(name)[0] for name in self.config.models}

    def training_job(self, model: Model, control: str | None, seed: int, prompt: str = "") -> TrainingJob:
        """Describe one training; raises WeightsUnavailable when its weights are not here, or nothing to train on."""
        with as_plugin_error(failed_while_planned(model)):
            options = options_for(model, self.config.options, self.task, self.devices, prompt)
            made = model if control is None else model.with_control(control)
            if self.data.training_split is None and needs_training(made):
                raise WeightsUnavailable(
                    f"{model.name} must be trained, and {self.data.name} has no training split. Give data with one, or "
                    "take a model that is evaluated as it is, such as hf:NAME, open_clip:NAME/TAG or timm:NAME."
                )
            recipe = dict(made.recipe(options))
            require_finite_settings(recipe, f"{model.name}'s recipe")
            json.dumps(recipe, allow_nan=False)
            prerequisite = made.prerequisite(options)
            domains = self.domains if needs_training(made) else ()
        train = self._resolved(replace(self.config.train, sequence=",".join(domain.name for domain in domains)))
        return TrainingJob(
            task=self.task.name,
            data=self.data,
            model=model.name,
            control=control,
            seed=seed,
            device=self.devices.kind,
            options=options,
            train=train,
            decode=self.config.decode,
            on_bad_sample=self.config.request.on_bad_sample,
            recipe=recipe,
            versions=self.packages | self.code.training(self.task, model, options, train),
            prerequisite=None if prerequisite is None else self._prerequisite(prerequisite),
            domains=domains,
        )

    def absent(self, model: str, control: str | None, seed: int, split: str, reason: str) -> Absent:
        """Describe a cell that cannot run."""
        content: dict[str, Any] = {"task": self.task.name, "data": self.data.digest, "split": split}
        content |= {"model": model, "control": control, "seed": seed, "absent": True}
        return Absent(model, control, seed, reason, fingerprint_of(content), self._is_named(model))

    def absent_variant(self, of: TrainingJob | Absent, wanted: WantedVariant, split: str, reason: str) -> Absent:
        """Describe a variant that cannot run; whoever named it is told."""
        name = f"{of.model}+{wanted.name}"
        return replace(self.absent(name, of.control, of.seed, split, reason), named=wanted.parent != "all")

    def _prerequisite(self, wanted: Prerequisite) -> str:
        """Name the job of what a model builds on; most models build on the same, whose data is opened once."""
        if wanted not in self._planned_prerequisites:
            job = self._prerequisite_job(wanted)
            self.prerequisites[job.fingerprint] = job
            self._planned_prerequisites[wanted] = job.fingerprint
        return self._planned_prerequisites[wanted]

    def _prerequisite_job(self, wanted: Prerequisite) -> TrainingJob:
        task, trained = load_task(wanted.task), load_model(wanted.model)
        plain = ModelOptions(task=wanted.task, answers=task.answers)
        wish = replace(data_context(self.config, task, self.environment, self.progress), wish=None, split=None)
        return TrainingJob(
            task=wanted.task,
            data=open_data(task, wish),
            model=wanted.model,
            control=None,
            seed=0,
            device=self.devices.kind,
            options=plain,
            train=self._resolved(wanted.train),
            decode=DecodeOptions(),
            on_bad_sample="fail",
            recipe=dict(trained.recipe(plain)),
            versions=self.packages | self.code.training(task, trained, plain),
        )

    def _resolved(self, train: TrainOptions) -> TrainOptions:
        """Say in which precision these devices train where the wish leaves it open: it moves the weights.

        What a model builds on is trained deterministically where the model is.
        """
        precision = self.devices.precision(train.precision)
        return replace(train, precision=precision, deterministic=self.config.train.deterministic)


def data_context(config: RunConfig, task: Task, environment: Environment, progress: Progress) -> DataContext:
    """Say where a task may look for the data of a run."""
    return DataContext(
        wish=folder_of(config.request.data, environment.cache, progress),
        split=config.request.split,
        environment=environment.bench_data,
        working_directory=environment.working_directory,
        cache=environment.cache,
        progress=progress,
        settings=settings_for(task, config.task_settings),
    )
