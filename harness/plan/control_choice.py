"""Which controls are planned beside each model: all, those of `--controls C1,C2`, or those of `film[C1]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.entry_points import as_plugin_error
from harness.errors import PluginError, UsageError, nearest
from harness.plan.names import words
from harness.plan.plugins import load_task
from harness.protocols import NOTICE, Model, Progress, controls_on

EVERY = "all"
"""What `--controls` stands for when it is given without a value."""
Named = Sequence[tuple[str, str | None]]
"""Models of `--model` as (model, control), None for the model itself."""


def plan_controls(
    models: Sequence[Model], task: str, wish: str | None, named: Named, progress: Progress, *, alone: bool = True
) -> Mapping[str, list[str | None]]:
    """List for each model, by name, the controls that are asked for, None for itself.

    A model that cannot say which it has is planned by itself, and that is told; so is a fused model that has not one of
    those asked for. Raises UsageError for a control that none of the models has, or tells it where the task is not
    `alone` in the run.
    """
    found: dict[str, list[str | None]] = {}
    offered: dict[str, tuple[str, ...]] = {}
    for model in models:
        try:
            found[model.name] = [control for _, control in with_controls([model], task, wish, named)]
            offered[model.name] = _offered(model, task)
        except PluginError as error:
            progress(f"{error} It is planned without its controls.", 0, NOTICE)
            found[model.name] = [None]
    for control in _single(wish):
        without = [name for name, names in offered.items() if control not in names]
        if len(without) == len(offered):
            known = {name for names in offered.values() for name in names}
            reason = f"--controls {control}: none of these models has it on {task}. "
            reason += nearest(control, known) if known else f"They have none ({', '.join(offered)})."
            if alone:
                raise UsageError(reason)
            progress(reason, 0, NOTICE)
        elif lacking := [name for name in without if offered[name]]:
            progress(f"{control}: {', '.join(lacking)} run without it, as they have none of it on {task}.", 0, NOTICE)
    return found


def with_controls(
    models: Sequence[Model], task: str, wish: str | None, named: Named = ()
) -> list[tuple[Model, str | None]]:
    """Put after each model its controls: those of `wish`, and those `named` with it, as (model, control).

    A model that is named with controls alone does not run itself. Raises UsageError for a control that it has not, and
    for one of `all`.
    """
    if found := [control for name, control in named if name == "all" and control is not None]:
        raise UsageError(f"--model all[{found[0]}]: name the model of the control, as film[{found[0]}].")
    single = _single(wish)
    pairs: list[tuple[Model, str | None]] = []
    for model in models:
        own = {control for name, control in named if name == model.name}
        offered = _offered(model, task)
        for control in (own - {None}).difference(offered):
            raise UsageError(f"{model.name} has no control '{control}' on {task}. {nearest(str(control), offered)}")
        if not own or None in own or ("all", None) in named:
            pairs.append((model, None))
        pairs += [(model, control) for control in offered if wish == EVERY or control in (*single, *own)]
    return pairs


def failed_while_planned(model: Model) -> str:
    """Name a plugin whose code failed while it was planned."""
    return f"The model plugin '{model.name}' ({type(model).__module__}) failed while it was planned"


def _offered(model: Model, task: str) -> tuple[str, ...]:
    with as_plugin_error(failed_while_planned(model)):
        return tuple(controls_on(model, load_task(task)))


def _single(wish: str | None) -> list[str]:
    """The controls that `--controls` names; none for all or none of them. Raises UsageError where it is empty."""
    if wish in (None, EVERY):
        return []
    named = list(dict.fromkeys(words(wish)))
    if not named:
        raise UsageError("--controls is empty. Name controls, as --controls C1,C2, or give it without a value for all.")
    return named
