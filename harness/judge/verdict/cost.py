"""Claim cost: the fused model is slower and larger than vision alone.

Ratios F / C0 by seed, on a log scale with Student's t over seeds; both are measured alone, at batch 1, after warm-up.
Slow is the median latency, in units of the workload timed between the calls where both have it, and never on a crowded
machine; large is the peak memory; FLOPs, parameters and the ratios of compressed variants of both stand beside. "At
equal quality" only where the score is shown to be lower by less than the margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from harness.judge.verdict.comparison import contrast_with_control, few_seeds
from harness.judge.verdict.compressed import compressed_group, compressed_names
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import NO_CONTROL, ClaimNeeds, ClaimSubject, beside_unfused
from harness.judge.verdict.verdict import COST_CLAIM, INCONCLUSIVE, NOT_SUPPORTED, RATIO, SUPPORTED, Number, Verdict
from harness.measure.foreign_load import CROWDED, crowding
from harness.record import Efficiency, RunRecord
from harness.stats.difference import Difference, unpaired_difference

SLOW, LARGE = "× p50 latency", "× peak memory"
_SIZES: Mapping[str, Callable[[Efficiency], float | None]] = {
    LARGE: lambda cost: cost.peak_memory_bytes,
    "× FLOPs": lambda cost: cost.flops,
    "× parameters": lambda cost: cost.parameters_total,
}
_NEGLIGIBLE = 1.05
"""A ratio shown to be below it is no cost worth speaking of."""


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone, both measured."""
    return beside_unfused(subject) if subject.timed else "time and memory are not measured (measure.timed)"


def judge(evidence: Evidence, head: Group) -> Verdict:
    """Decide claim cost about one fused model."""
    name, plain = evidence.unfused(head)
    command = run_command(next(iter(head.by_seed.values())), evidence.options.results, ["--controls"])
    if isinstance(plain, str):
        return Verdict(
            COST_CLAIM, head.model, INCONCLUSIVE, plain, (), (plain, *([] if plain == NO_CONTROL else [command]))
        )
    seeds = sorted(head.by_seed.keys() & plain.by_seed.keys())
    pairs = [(head.by_seed[seed], plain.by_seed[seed]) for seed in seeds]
    mixed = next((reason for pair in pairs if (reason := _mixed(*pair))), None)
    if mixed is not None:
        return Verdict(COST_CLAIM, head.model, INCONCLUSIVE, mixed, (), (mixed, command))
    ratios = {cost: found for cost in (SLOW, *_SIZES) if (found := _ratio(pairs, cost)) is not None}
    noisy = sum(bool(record.efficiency.notes.get("noisy")) for pair in pairs for record in pair)
    disturbed = f"{noisy} of {2 * len(pairs)} measurements were disturbed by other work (noisy)" if noisy else ""
    numbers = tuple(replace(_number(cost, ratio), note=disturbed) for cost, ratio in ratios.items())
    numbers += tuple(_of_variants(evidence, head, plain, name))
    few = few_seeds(len(seeds))
    if few is not None:
        return Verdict(COST_CLAIM, head.model, INCONCLUSIVE, few, numbers, (few, command))
    absent = [cost for cost in (SLOW, LARGE) if cost not in ratios]
    if absent:
        crowded = absent[0] == SLOW and any(_is_crowded(record) for pair in pairs for record in pair)
        why = "was measured on a crowded machine" if crowded else "was not measured with every seed"
        reason = f"{absent[0].removeprefix('× ')} {why}"
        return Verdict(COST_CLAIM, head.model, INCONCLUSIVE, reason, numbers, (reason, command))
    outcome, reason = _decide(ratios[SLOW], ratios[LARGE])
    shown = ", ".join(number.shown for number in numbers[:2])
    notes = "; ".join(note for note in (_quality(evidence, (head, plain), name), disturbed) if note)
    missing = ("more seeds, on a quiet machine",) if outcome == INCONCLUSIVE else ()
    return Verdict(COST_CLAIM, head.model, outcome, f"{reason}: {shown} of {name}; {notes}", numbers, missing)


def _of_variants(evidence: Evidence, head: Group, plain: Group, name: str) -> Iterator[Number]:
    """The same ratios of both in 8 bits, pruned or exported, where both were measured alike; they decide nothing."""
    for variant in compressed_names(evidence, head):
        ours, theirs = (compressed_group(evidence, group, variant) for group in (head, plain))
        if isinstance(ours, str) or isinstance(theirs, str):
            continue
        seeds = sorted(ours.by_seed.keys() & theirs.by_seed.keys())
        pairs = [(ours.by_seed[seed], theirs.by_seed[seed]) for seed in seeds]
        if any(_mixed(*pair) for pair in pairs):
            continue
        for cost in (SLOW, LARGE):
            if (ratio := _ratio(pairs, cost)) is not None:
                yield replace(_number(f"{cost}, both +{variant}", ratio), note=f"of {name}+{variant}; decides nothing")


def _decide(slow: Difference, large: Difference) -> tuple[str, str]:
    both = (("slower", slow), ("larger", large))
    equal = [word for word, found in both if found.high < math.log(_NEGLIGIBLE)]
    words = [word for word, found in both if found.low > 0 and word not in equal]
    if len(words) == 2:
        return SUPPORTED, "slower and larger"
    if equal:
        return NOT_SUPPORTED, f"not {' and not '.join(equal)}" + (f" but {words[0]}" if words else "")
    return INCONCLUSIVE, f"{words[0]} only" if words else "not told apart"


def _ratio(pairs: list[tuple[RunRecord, RunRecord]], cost: str) -> Difference | None:
    """The log ratio over seeds; None where a seed lacks the measurement."""
    logs = []
    for fused, plain in pairs:
        above, below = _latencies(fused, plain) if cost == SLOW else _sizes(cost, fused, plain)
        if not above or not below or not math.isfinite(above) or not math.isfinite(below):
            return None
        logs.append(math.log(above / below))
    return unpaired_difference(np.array(logs), 0.0, 2) if logs else None


def _sizes(cost: str, fused: RunRecord, plain: RunRecord) -> tuple[float | None, float | None]:
    return _SIZES[cost](fused.efficiency), _SIZES[cost](plain.efficiency)


def _latencies(fused: RunRecord, plain: RunRecord) -> tuple[float | None, float | None]:
    """Both in units of the calibration workload, or both in seconds; None on a crowded machine, which nothing mends."""
    if _is_crowded(fused) or _is_crowded(plain):
        return None, None
    ours, theirs = (record.efficiency.notes.get("calibrated_latency") for record in (fused, plain))
    if ours and theirs and ours["version"] == theirs["version"]:
        return ours["ratio"], theirs["ratio"]
    return fused.efficiency.latency_p50_seconds, plain.efficiency.latency_p50_seconds


def _is_crowded(record: RunRecord) -> bool:
    return crowding(record.efficiency.notes) > CROWDED


def _number(cost: str, ratio: Difference) -> Number:
    if ratio.seeds < 2:
        return Number(cost, math.exp(ratio.value), kind=RATIO)
    return Number(cost, math.exp(ratio.value), math.exp(ratio.low), math.exp(ratio.high), kind=RATIO)


def _mixed(fused: RunRecord, plain: RunRecord) -> str | None:
    """Say in what two measurements differ that must be equal: the machine, batches, warm-ups, threads."""
    if fused.device != plain.device:
        return f"measured on other machines: {fused.device}; {plain.device}"
    ours, theirs = (dict(record.cell.get("measure", {})) for record in (fused, plain))
    differing = next((name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)), None)
    if differing is not None:
        return f"measured otherwise: measure.{differing} {ours.get(differing)}, not {theirs.get(differing)}"
    return "measured without warm-up" if ours.get("warmups") == 0 else None


def _quality(evidence: Evidence, groups: tuple[Group, Group], name: str) -> str:
    found = contrast_with_control(evidence, evidence.metric, [(1.0, groups[0]), (-1.0, groups[1])])
    if isinstance(found, str):
        return f"quality not compared: {found}"
    shown = f"F − {name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    if found.low > -evidence.options.margin:
        return f"at equal quality ({shown})"
    return f"at lower quality ({shown})" if found.high < 0 else f"equal quality is not shown ({shown})"
