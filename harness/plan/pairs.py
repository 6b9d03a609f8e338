"""Which model serves which task, read from the plugins: for `bench list pairs` and the table in docs/models.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.entry_points import as_plugin_error
from harness.errors import PluginError
from harness.plan.plugins import INTERNAL_TASKS, is_internal, load_all
from harness.protocols import Model, Task, controls_on, serves


@dataclass(frozen=True)
class Pair:
    """A model on a task, and the controls that can be made of it there."""

    model: str
    task: str
    fused: bool
    controls: tuple[str, ...]


def supported_pairs() -> tuple[list[Pair], list[PluginError]]:
    """List every installed (model, task) pair, models in the order of their names, and broken plugins."""
    models, broken = load_all("models")
    installed, faulty = load_all("tasks")
    tasks = [task for task in installed if task.name not in INTERNAL_TASKS]
    broken += faulty
    pairs = []
    for model in models:
        try:
            with as_plugin_error(f"The model plugin '{model.name}' cannot say which controls it has"):
                pairs += _pairs_of(model, tasks)
        except PluginError as error:
            broken.append(error)
    return pairs, broken


def _pairs_of(model: Model, tasks: Sequence[Task]) -> list[Pair]:
    return [
        Pair(model.name, task.name, model.fused, controls_on(model, task))
        for task in tasks
        if serves(model, task) and not is_internal(model)
    ]
