"""Claim label-efficiency: fusion needs fewer labels: the area under the score over log2 n, F against vision alone.

n counts the labels of validation too, which select the checkpoint. Training takes the first n samples, so subsets are
nested; they are the same for every seed, so the interval is about this one nest of subsets.
Area: trapezoids over log2 n, divided by its range, which makes it a mean score.
"""

from __future__ import annotations

import math

import numpy as np

from harness.judge.verdict.comparison import Term, common_seeds, contrast_with_control, few_seeds, number
from harness.judge.verdict.evidence import Evidence, Group, training_limit
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import (
    NO_CONTROL,
    SUGGESTED_SIZES,
    ClaimNeeds,
    ClaimSubject,
    NeededRun,
    beside_unfused,
    unfused_of,
)
from harness.judge.verdict.settings import LIMIT, MODEL_CODE, TUNE, unmatched
from harness.judge.verdict.verdict import INCONCLUSIVE, LABEL_EFFICIENCY_CLAIM, NOT_SUPPORTED, SUPPORTED, Verdict

LEAST_SIZES = 3
_CAVEAT = "one nest of subsets, validation labels counted"


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone, trained on each of several numbers of samples, and on all: these are judged."""
    sizes = subject.breadth.sizes
    if len(sizes) < LEAST_SIZES:
        return f"{len(sizes)} numbers of training samples; wanted {LEAST_SIZES}"
    found = [beside_unfused(subject, limit=size) for size in sizes]
    if isinstance(found[0], str):
        return found[0]
    return (NeededRun(subject.model), *(run for pair in found if not isinstance(pair, str) for run in pair))


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim label-efficiency about each model that was trained on several sizes, or once where none was."""
    verdicts = [_judge(evidence, head) for head in heads if len(_sizes(evidence, head, None)) > 1]
    if verdicts or not heads:
        return verdicts
    commands = [_command(evidence, heads[0], size) for size in SUGGESTED_SIZES[:LEAST_SIZES]]
    reason = "no model was trained on several numbers of samples"
    return [Verdict(LABEL_EFFICIENCY_CLAIM, None, INCONCLUSIVE, reason, missing=tuple(commands))]


def area_weights(labels: list[int]) -> list[float]:
    """Weigh each size so that the sum of weight x score is the mean over log2 n; sizes ascending, two or more.

    >>> [round(weight, 3) for weight in area_weights([100, 200, 800])]
    [0.167, 0.5, 0.333]
    """
    places = np.log2(labels)
    gaps = np.diff(places) / (places[-1] - places[0])
    return [float(w) for w in (np.append(gaps, 0) + np.append(0, gaps)) / 2]


def _judge(evidence: Evidence, head: Group) -> Verdict:
    name, control = _unfused_control(evidence, head)
    if control is None:
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, NO_CONTROL, (), (NO_CONTROL,))
    fused, plain = _sizes(evidence, head, None), _sizes(evidence, head, control)
    sizes = sorted(fused.keys() & plain.keys())
    lacking = sorted((fused.keys() | plain.keys()) - set(sizes))
    missing_runs = [_command(evidence, head, size) for size in lacking]
    if len(sizes) < LEAST_SIZES:
        more = [size for size in SUGGESTED_SIZES if size not in fused and size not in plain]
        missing_runs += [_command(evidence, head, size) for size in more[: LEAST_SIZES - len(sizes) - len(lacking)]]
        reason = f"{len(sizes)} numbers of training samples with {name} beside; wanted {LEAST_SIZES}"
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, reason, (), tuple(missing_runs))
    groups = [g for size in sizes for g in (fused[size], plain[size])]
    weights = area_weights([size + _validation(head) for size in sizes])
    terms: list[Term] = []
    for weight, size in zip(weights, sizes, strict=True):
        terms += [(weight, fused[size]), (-weight, plain[size])]
    found = contrast_with_control(evidence, evidence.metric, terms)
    if isinstance(found, str):
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, found, (), (found, *missing_runs))
    numbers = (number(f"area F − {name}", found, f"n = {', '.join(map(str, sizes))}; {_CAVEAT}"),)
    few = few_seeds(len(common_seeds(groups)))
    if few is not None:
        commands = tuple(_command(evidence, head, size) for size in sizes)
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, few, numbers, (few, *commands))
    shown = f"area F − {name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] over n = {sizes[0]}..{sizes[-1]}"
    if found.high < evidence.options.margin:
        return Verdict(
            LABEL_EFFICIENCY_CLAIM, head.model, NOT_SUPPORTED, f"{shown} is below {evidence.options.margin:g}", numbers
        )
    if found.low > 0:
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, SUPPORTED, f"{shown} ({_CAVEAT})", numbers)
    missing = (f"more {found.needs}: {found.detectable:.3f} would be found", *missing_runs)
    return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, f"not told apart: {shown}", numbers, missing)


def _unfused_control(evidence: Evidence, head: Group) -> tuple[str, tuple[str, str | None] | None]:
    """Name what stands for vision alone as (model, control): C0, the stand-in, or C1."""
    found = unfused_of(head.model, evidence.fusion.controls.get(head.model, ()), evidence.options.stand_in)
    return ("C0", None) if found is None else (found.name, (found.model, found.control))


def _sizes(evidence: Evidence, head: Group, control: tuple[str, str | None] | None) -> dict[int, Group]:
    """Find the records of one model that differ from the head in nothing but the number of training samples."""
    model, kind = control or (head.model, None)
    found: dict[int, Group] = {}
    for group in sorted(evidence.groups, key=lambda group: group.created):
        limit = training_limit(group)
        free = (LIMIT, TUNE) if group.settings.get(TUNE) is None else (LIMIT,)
        free = free if model == head.model else (*free, MODEL_CODE)
        same = (group.model, group.control) == (model, kind) and not unmatched(head.settings, group.settings, free)
        if limit is not None and same:
            found[limit] = group
    return found


def _validation(head: Group) -> int:
    """How many labels selected the checkpoint: none where there was no validation."""
    count = head.settings.get("train.validation_limit", 0)
    return int(count) if isinstance(count, int) and not math.isnan(count) else 0


def _command(evidence: Evidence, head: Group, size: int) -> str:
    like = next(iter(head.by_seed.values()))
    return run_command(like, evidence.options.results, ["--controls", f"--set train.limit={size}"])
