"""Claim efficient-tuning: efficient tuning keeps the gain: (efficient - frozen) / (full - frozen) is at least 0.95.

The interval is Fieller's (1954): all ratios r for which efficient - frozen - r (full - frozen) is not told apart from
0, each by the same interval over seeds and samples. Without full - frozen above 0 there is no gain to keep.
The tuned models are siblings by name (`NAME-lora`) or by `--tune`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.judge.verdict.comparison import Term, contrast_with_control, few_seeds, number
from harness.judge.verdict.evidence import Evidence, Group, training_limit
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import ClaimNeeds, ClaimSubject, NeededRun
from harness.judge.verdict.settings import SEQUENCE, SHOTS, TUNE, tuning_free, unmatched
from harness.judge.verdict.verdict import (
    EFFICIENT_TUNING_CLAIM,
    INCONCLUSIVE,
    LEVEL,
    NOT_SUPPORTED,
    SUPPORTED,
    Number,
    Verdict,
)
from harness.stats.difference import Difference
from harness.stats.fieller import fieller

KEPT = 0.95
FULL, FROZEN, TUNED = "full", "frozen", "tuned"
RETAINED, TRAINED_SHARE = "retained gain", "trained share"
MEMORY, STEP_SECONDS = "peak memory MiB", "training s/step"


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model tuned efficiently, fully and not at all; its own policy is a run that says nothing of tuning."""
    if subject.policy is None:
        return f"{subject.model} has no language model whose tuning could be chosen"
    policies = dict.fromkeys((subject.policy, FULL, FROZEN, *subject.breadth.policies))
    return tuple(NeededRun(subject.model, tune=None if name == subject.policy else name) for name in policies)


def judge_all(evidence: Evidence) -> list[Verdict]:
    """Decide claim efficient-tuning about each efficiently tuned model, or once for a table without one."""
    families = _families(evidence)
    verdicts = [
        _judge(evidence, group, members)
        for members in families.values()
        for policy, group in members.items()
        if policy not in (FULL, FROZEN)
    ]
    if verdicts:
        return verdicts
    heads = evidence.heads()
    if not heads:
        return []
    like = heads[0]
    missing = [
        run_command(next(iter(like.by_seed.values())), evidence.options.results, [f"--tune {policy}"])
        for policy in ("lora", FULL, FROZEN)
    ]
    return [
        Verdict(EFFICIENT_TUNING_CLAIM, None, INCONCLUSIVE, "no model was tuned efficiently", missing=tuple(missing))
    ]


def _families(evidence: Evidence) -> dict[str, dict[str, Group]]:
    """Gather fused models by family and tuning policy.

    Of several those of one domain and no number of shots, of the most training samples, then the newest: runs for other
    claims take no place here.
    """
    found: dict[str, dict[str, Group]] = {}

    def standing(group: Group) -> tuple[bool, float, str]:
        whole = not group.settings.get(SEQUENCE) and not group.settings.get(SHOTS)
        return whole, training_limit(group) or math.inf, group.created

    for group in sorted(evidence.groups, key=standing):
        policy = group.settings.get(TUNE)
        if group.control is None and policy is not None and group.model in evidence.fusion.controls:
            found.setdefault(group.model.removesuffix(f"-{policy}"), {})[policy] = group
    return found


def _judge(evidence: Evidence, group: Group, members: Mapping[str, Group]) -> Verdict:
    policy = str(group.settings[TUNE])
    name = group.model if group.model.endswith(policy) else f"{group.model} (--tune {policy})"
    absent = [other for other in (FULL, FROZEN) if other not in members]
    free = tuning_free()
    wrong = [
        f"the {other} one is not matched: {differences[0]}"
        for other in (FULL, FROZEN)
        if other in members and (differences := unmatched(group.settings, members[other].settings, free))
    ]
    if absent or wrong:
        like = next(iter(group.by_seed.values()))
        base = group.model.removesuffix(f"-{policy}")
        commands = [run_command(like, evidence.options.results, [f"--tune {o}"], base) for o in absent]
        missing = (*(f"no {o} tuning of it was run" for o in absent), *wrong, *commands)
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, missing[0], (), missing)
    return _ratio(evidence, name, (group, members[FULL], members[FROZEN]))


def _ratio(evidence: Evidence, name: str, groups: tuple[Group, Group, Group]) -> Verdict:
    tuned, full, frozen = groups
    gain = contrast_with_control(evidence, evidence.metric, [(1.0, full), (-1.0, frozen)])
    if isinstance(gain, str):
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, gain, missing=(gain,))
    numbers = [number("full − frozen", gain)]
    costs = tuple(_costs({TUNED: tuned, FULL: full, FROZEN: frozen}))
    few = few_seeds(min(len(group.by_seed) for group in groups))
    if few is not None:
        command = run_command(next(iter(tuned.by_seed.values())), evidence.options.results)
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, few, (*numbers, *costs), (few, command))
    unlearned = [group.name for group in groups if group.learnable is False]
    if unlearned:
        reason = f"not learnable here: {unlearned[0]} cannot fit 32 samples"
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, reason, (*numbers, *costs))
    if gain.low <= 0:
        reason = f"undefined: full − frozen {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] is not above 0"
        needs = () if gain.high <= 0 else (f"more {gain.needs}, or a budget at which full tuning gains",)
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, reason, (*numbers, *costs), needs)
    ratio = _retained(evidence, groups, gain)
    if isinstance(ratio, str):
        return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, ratio, (*numbers, *costs), (ratio,))
    numbers = [ratio, *numbers]
    low, high = ratio.low or 0.0, ratio.high or 0.0
    reason = f"{ratio.value:.0%} [{low:.0%}, {high:.0%}] of the gain is kept"
    if low >= KEPT:
        return Verdict(EFFICIENT_TUNING_CLAIM, name, SUPPORTED, reason, (*numbers, *costs))
    if high < KEPT:
        return Verdict(EFFICIENT_TUNING_CLAIM, name, NOT_SUPPORTED, reason, (*numbers, *costs))
    missing = (f"more {gain.needs}: the interval holds {KEPT:.0%}",)
    return Verdict(EFFICIENT_TUNING_CLAIM, name, INCONCLUSIVE, reason, (*numbers, *costs), missing)


def _retained(evidence: Evidence, groups: tuple[Group, Group, Group], gain: Difference) -> Number | str:
    """The retained gain with Fieller's interval."""
    tuned, full, frozen = groups

    def left(ratio: float) -> Difference:
        terms: list[Term] = [(1.0, tuned), (-ratio, full), (ratio - 1.0, frozen)]
        found = contrast_with_control(evidence, evidence.metric, terms)
        if isinstance(found, str):
            raise _UndecidedError(found)
        return found

    try:
        value = left(0.0).value / gain.value
        ends = fieller(left, value)
    except _UndecidedError as error:
        return str(error)
    return Number(RETAINED, value, *ends, "Fieller, seeds and samples; one training trial each", LEVEL)


class _UndecidedError(Exception):
    """Why a difference has no interval."""


def _costs(groups: Mapping[str, Group]) -> list[Number]:
    """What efficient tuning saves: trained share, memory and seconds per step beside those of full and no tuning.

    Memory is that of training where it is known, else that of answering.
    """
    numbers = []
    for label, group in groups.items():
        records = list(group.by_seed.values())
        cost = records[0].efficiency
        if cost.parameters_trainable is not None and cost.parameters_total:
            share = cost.parameters_trainable / cost.parameters_total
            numbers.append(Number(f"{TRAINED_SHARE}, {label}", share, kind=LEVEL))
        trained = [r.provenance.get("training", {}).get("peak_memory_bytes") for r in records]
        memory = [found for found in trained if found] or [
            r.efficiency.peak_memory_bytes for r in records if r.efficiency.peak_memory_bytes is not None
        ]
        if memory:
            middle = sorted(memory)[len(memory) // 2] / 2**20
            numbers.append(Number(f"{MEMORY}, {label}", middle, kind=LEVEL))
        steps = [
            r.efficiency.train_seconds / r.provenance["training"]["steps"]
            for r in records
            if r.efficiency.train_seconds is not None and r.provenance.get("training", {}).get("steps")
        ]
        if steps:
            numbers.append(Number(f"{STEP_SECONDS}, {label}", sorted(steps)[len(steps) // 2], kind=LEVEL))
    return numbers
