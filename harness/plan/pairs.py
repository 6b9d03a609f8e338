"""Which model serves which task, read from the plugins: for `bench list pairs` and the table in docs/models.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from harness.errors import PluginError
from harness.plan.plugins import INTERNAL_TASKS, as_plugin_error, is_internal, load_all
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


def render_pairs(pairs: Sequence[Pair], style: str) -> str:
    """Render as text, md (rows models, columns tasks) or JSON; a cell says yes, or which controls there are."""
    if style == "json":
        return json.dumps([asdict(pair) for pair in pairs], indent=1)
    tasks = list(dict.fromkeys(pair.task for pair in pairs))
    cells = {(pair.model, pair.task): _cell(pair) for pair in pairs}
    kinds = {pair.model: "fused" if pair.fused else "un-fused" for pair in pairs}
    table = [["model", "", *tasks]]
    table += [[model, kind, *(cells.get((model, task), "") for task in tasks)] for model, kind in kinds.items()]
    if style == "md":
        lines = [f"| {' | '.join(row)} |" for row in table]
        return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]])
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def _cell(pair: Pair) -> str:
    if not pair.controls:
        return "yes"
    first, last = pair.controls[0], pair.controls[-1]
    whole = len(pair.controls) > 2
    return f"{first}–{last}" if whole else ", ".join(pair.controls)
