"""Which models a run asks for, and whether they can take what it sets: all that is known before data are opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError, nearest
from harness.plan.config import RunConfig
from harness.plan.model_settings import check_settings
from harness.plan.plugins import load_all, load_model, load_task, model_names, models_for, task_names
from harness.plan.trials_check import check_remedies
from harness.plan.variants import NamedModels, named_models
from harness.protocols import Model, Task, serves
from harness.record import split_name


@dataclass(frozen=True)
class AskedModels:
    """The models of a run, and which controls and variants of them are wanted."""

    wanted: NamedModels
    models: Sequence[Model]


def asked_models(config: RunConfig, task: Task) -> AskedModels:
    """Find the models of a run of one recipe; raises UsageError for what the task or they do not take."""
    if config.train.augment is not None:
        from harness.inputs.augment import augmenter_for

        augmenter_for(config.train.augment, 0, task)  # raises where its targets do not follow
    wanted, alone = named_models([split_name(name) for name in config.models]), config.names_one_task
    models = choose_models([name for name, _ in wanted.models], task.name, alone=alone, excluded=config.excluded)
    check_settings(config.options.settings, models)
    check_task_settings(config.task_settings, task if alone else None)
    check_own_sections(config.own_sections)
    check_remedies(config.train)
    return AskedModels(wanted, models)


def check_task_settings(settings: Mapping[str, Any], alone: Task | None = None) -> None:
    """Refuse a task setting that no installed task takes, or not the one that is run `alone`; raises UsageError."""
    tasks, _ = load_all("tasks")
    known = {name for task in tasks for name in task.settings}
    for name in settings:
        if name not in known:
            raise UsageError(f"Unknown setting task.{name}. {nearest(name, known)}")
        if alone is not None and name not in alone.settings:
            taken = ", ".join(alone.settings) or "none"
            raise UsageError(f"{alone.name} takes no setting '{name}' (it takes: {taken}). Leave it out.")


def check_own_sections(tasks: Sequence[str]) -> None:
    """Refuse a section [for.TASK] of a task that is not installed; raises UsageError with the nearest name."""
    for name in tasks:
        if name not in (known := task_names()):
            raise UsageError(f"Unknown task in [for.{name}]. {nearest(name, known)}")


def choose_models(names: Sequence[str], task: str, *, alone: bool = True, excluded: Sequence[str] = ()) -> list[Model]:
    """Turn `a,b` or `all` into models, without those `excluded`; raises UsageError for one that serves another task.

    Where the task is not `alone` in the run, models that serve another one are left out instead.
    """
    if not names:
        raise UsageError("--model is empty. Name models with commas between, or take 'all'.")
    chosen: dict[str, Model] = {}
    for name in names:
        models = models_for(task)[0] if name == "all" else [load_model(name)]
        chosen |= {model.name: model for model in models}
    wanted = load_task(task)
    if not alone and any(serves(model, wanted) for model in chosen.values()):
        chosen = {name: model for name, model in chosen.items() if serves(model, wanted)}
    for model in chosen.values():
        if not serves(model, wanted):
            serving = [other.name for other in models_for(task)[0]]
            told = f"it answers with {', '.join(getattr(model, 'answers', ()))}, wanted are {wanted.answers}"
            raise UsageError(f"Model '{model.name}' does not serve {task}: {told}. {nearest(model.name, serving)}")
    return _without(chosen, excluded)


def _without(chosen: Mapping[str, Model], excluded: Sequence[str]) -> list[Model]:
    """Leave models out; raises UsageError for one that is not installed, and where none is left."""
    for name in excluded:
        if name not in chosen and name not in (known := model_names()):
            raise UsageError(f"--exclude {name}: there is no such model. {nearest(name, {*chosen, *known})}")
    left = [model for name, model in chosen.items() if name not in excluded]
    if not left:
        raise UsageError(f"--exclude {','.join(excluded)} leaves no model to run. Leave one of them out of it.")
    return left
