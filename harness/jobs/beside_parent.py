"""What a variant costs beside the model that it was made of: both answer the same samples in turn, in one process."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.cell import Cell, Places
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.built_learner import load_trained
from harness.jobs.heartbeat import Heartbeat
from harness.jobs.profile_learner import answer_afresh, counted_costs
from harness.jobs.variants import modifiers_of
from harness.measure.device import autocast, synchronize
from harness.protocols import Learner, Progress
from harness.record import BESIDE_PARENT, Efficiency

_PAIRS = 64
_WARM_UPS = 3
_Z95 = 1.959963984540054


def beside_parent(
    cell: Cell,
    places: Places,
    found: Efficiency,
    learner: Learner,
    tokens: VisualTokens,
    seconds_to_load: float,
    progress: Progress,
) -> Efficiency:
    """Add to a variant's costs what they are beside its parent's: speed, and after how many calls it pays.

    Parameters and operations are the parent's where the variant computes the same otherwise. The parent is loaded only
    now, so that its memory is not counted as the variant's.
    """
    assert cell.variant is not None
    parent = load_trained(cell.training, places)[1]
    of_parent = replace(tokens, learner=parent)
    module: Any = parent
    module.requires_grad_(False)
    if all(each.plugin.same_operations for each in modifiers_of(cell.variant)):
        counted = counted_costs(parent, of_parent)
        found = replace(
            found,
            parameters_total=counted.parameters_total,
            parameters_trainable=counted.parameters_trainable,
            flops=counted.flops,
        )
    if not cell.measure.timed:
        return found
    beat = Heartbeat(progress, "timing it beside its parent")
    device = cell.training.device
    count = min(_PAIRS, max(2, cell.measure.runs))
    samples = tokens.in_memory(count + _WARM_UPS)
    with autocast(device, cell.evaluate.precision), torch.inference_mode():
        calls = [(learner, samples), (parent, replace(samples, learner=parent))]
        pairs = time_in_turn([_call(*each) for each in calls], count, device, beat)
    told = paired_speed(pairs[0], pairs[1], seconds_to_load, found.notes.get("first_call_seconds") or 0.0)
    return replace(found, notes={**found.notes, BESIDE_PARENT: told})


def time_in_turn(
    calls: Sequence[Callable[[int], None]], count: int, device: str, beat: Callable[[], None]
) -> list[list[float]]:
    """Time each call on the same numbers in turn, who is first changing from number to number; seconds, by call."""
    seconds: list[list[float]] = [[] for _ in calls]
    for number in range(count + _WARM_UPS):
        beat()
        order = range(len(calls)) if number % 2 else reversed(range(len(calls)))
        for place in order:
            synchronize(device)
            begun = time.perf_counter()
            calls[place](number)
            synchronize(device)
            if number >= _WARM_UPS:
                seconds[place].append(time.perf_counter() - begun)
    return seconds


def paired_speed(
    variant: Sequence[float], parent: Sequence[float], seconds_to_load: float, first_call: float
) -> dict[str, Any]:
    """Say how many times faster a variant answers than its parent, with its 95 % interval, and when that pays.

    The interval of the median of pairs is that of the sign test, by ranks; it needs six pairs. `break_even_calls` is
    after how many calls the time that loading and the first call took more is made up; None where that never is.
    """
    ratios = sorted(other / own for own, other in zip(variant, parent, strict=True))
    own, other = statistics.median(variant), statistics.median(parent)
    cold = seconds_to_load + max(0.0, first_call - other)
    reach = _Z95 * math.sqrt(len(ratios)) / 2
    low, high = math.floor(len(ratios) / 2 - reach), math.ceil(len(ratios) / 2 + reach)
    known = low >= 0 and high < len(ratios) and len(ratios) >= 6
    return {
        "pairs": len(ratios),
        "variant_p50_seconds": own,
        "parent_p50_seconds": other,
        "speed_up": statistics.median(ratios),
        "speed_up_low": ratios[low] if known else None,
        "speed_up_high": ratios[high] if known else None,
        "seconds_to_load": seconds_to_load,
        "break_even_calls": math.ceil(cold / (other - own)) if own < other else None,
    }


def _call(learner: Learner, tokens: VisualTokens) -> Callable[[int], None]:
    return lambda number: answer_afresh(learner, tokens, [number % len(tokens)])
