"""What a model is handed of a run's settings: its own, settled for the devices where it leaves that to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.measure.choose_devices import Devices
from harness.plan.plugins import load_all
from harness.protocols import Model, SettlesOptions, Task


def check_settings(settings: Mapping[str, Any], chosen: Sequence[Model]) -> None:
    """Refuse a `--set model.NAME` that no installed model takes; raises UsageError with the nearest name.

    Models of other tasks count too, since a profile holds settings for all of them.
    """
    models, _ = load_all("models")
    known = {name for model in [*models, *chosen] for name in model.settings}
    for name in settings:
        if name not in known:
            raise UsageError(f"Unknown setting model.{name}. {nearest(name, known)}")


def options_for(model: Model, options: ModelOptions, task: Task, devices: Devices) -> ModelOptions:
    """Hand a model only the settings that it takes; raises UsageError for what these devices cannot do."""
    own = {name: value for name, value in options.settings.items() if name in model.settings}
    handed = replace(options, settings=own, task=task.name, answers=task.answers)
    if isinstance(model, SettlesOptions):
        return model.settled(handed, devices.kind, devices.precision)
    return handed
