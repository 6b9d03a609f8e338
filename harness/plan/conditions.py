"""Plans what is to be done to a run's trained models: the conditions of `--perturb` and `--shift`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.acquire.sources import folder_of
from harness.cell import PerturbOptions
from harness.condition import CLEAN, Condition
from harness.perturb.grids import parse_grid
from harness.perturb.natural_shifts import ShiftedSplit, open_shift, own_shifts
from harness.perturb.perturbation import Perturbation
from harness.perturb.scales import at_scale, small_image_warning
from harness.plan.config import RunConfig
from harness.plan.plugins import load_all_perturbations
from harness.plan.run_plan import Environment, Plan, data_context
from harness.protocols import NOTICE, Progress, open_data


@dataclass(frozen=True)
class RobustnessPlan:
    """The conditions, the perturbations by name, and the split of each shift by its condition's `split_key`."""

    conditions: tuple[Condition, ...]
    known: Mapping[str, Perturbation]
    shifts: Mapping[str, ShiftedSplit]
    options: PerturbOptions


def plan_robustness(
    config: RunConfig, plan: Plan, environment: Environment, progress: Progress
) -> RobustnessPlan | None:
    """Plan the conditions of a task, None when none are asked for; raises UsageError for unknown names."""
    wish = config.request
    if wish.perturb is None and wish.shift is None:
        return None
    known, broken = load_all_perturbations()
    for error in broken:
        progress(f"left out: {error}", 0, NOTICE)
    context = data_context(config, plan.task, environment, progress)
    offered = own_shifts(plan.task, plan.data)
    conditions: tuple[Condition, ...] = (CLEAN,)
    if wish.perturb is not None:
        conditions = parse_grid(wish.perturb, known, tuple(offered))
        known = at_scale(known, config.perturb.scale)
        images = [sample.image for sample in plan.task.samples(plan.data, plan.split)[:16]]
        if warning := small_image_warning(conditions, known, images):
            progress(warning, 0, NOTICE)
    wanted = {condition.shift for condition in conditions} - {None}
    shifts = {
        Condition(shift=name).split_key: ShiftedSplit(open_data(plan.task, replace(context, split=split)), split)
        for name, split in offered.items()
        if name in wanted
    }
    if wish.shift is not None:
        folder = folder_of(wish.shift, context.cache, context.progress)
        context = replace(context, wish=folder, split=None, evaluate_only=True, trained_on=plan.data)
        opened = open_shift(plan.task, context, plan.data)
        shifts |= {condition.split_key: target for condition, target in opened.items()}
        conditions = (*conditions, *opened)
    return RobustnessPlan(conditions, known, shifts, config.perturb)
