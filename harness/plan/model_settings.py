"""What a model is handed of a run's settings: its own, settled for the devices where it leaves that to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.measure.choose_devices import Devices
from harness.plan.plugins import load_all
from harness.protocols import HasPrompts, Model, SettlesOptions, Task

PROMPT_NAME = "prompt_name"
"""The setting that holds a cell's prompt."""


def check_settings(settings: Mapping[str, Any], chosen: Sequence[Model]) -> None:
    """Refuse a `--set model.NAME` that no installed model takes; raises UsageError with the nearest name.

    Models of other tasks count too, since a profile holds settings for all of them.
    """
    if "prompts" in settings and not any("prompts" in model.settings for model in chosen):
        raise UsageError(
            f"--prompts {settings['prompts']}: none of these models is asked by a prompt "
            f"({', '.join(model.name for model in chosen)}). Leave it out, or take a model such as chat:FOLDER."
        )
    models, _ = load_all("models")
    known = {name for model in [*models, *chosen] for name in model.settings}
    for name in settings:
        if name not in known:
            raise UsageError(f"Unknown setting model.{name}. {nearest(name, known)}")


def prompts_of(model: Model, options: ModelOptions, task: Task) -> tuple[str, ...]:
    """Name the prompts by which a model is asked, one cell each; "" alone for models that are not asked in words."""
    return tuple(model.prompt_names(_handed(model, options, task, ""))) if isinstance(model, HasPrompts) else ("",)


def options_for(model: Model, options: ModelOptions, task: Task, devices: Devices, prompt: str = "") -> ModelOptions:
    """Hand a model only the settings that it takes; raises UsageError for what these devices cannot do."""
    handed = _handed(model, options, task, prompt)
    if isinstance(model, SettlesOptions):
        return model.settled(handed, devices.kind, devices.precision)
    return handed


def _handed(model: Model, options: ModelOptions, task: Task, prompt: str) -> ModelOptions:
    own = {name: value for name, value in options.settings.items() if name in model.settings}
    return replace(
        options, settings=own | ({PROMPT_NAME: prompt} if prompt else {}), task=task.name, answers=task.answers
    )
