"""Claim compression: what fusion gains survives compression.

By each compressed variant X that the records have of both: what is lost of the gain, (F − C0) − (F+X − C0+X), paired
over seeds and samples, Holm over variants. Supported where F − C0 is above 0 and every loss is shown to be below the
margin; not supported where one is shown to be above 0 and not below the margin.
"""

from __future__ import annotations

from harness.judge.verdict.comparison import contrast_with_control, holm_shown, is_too_few, number
from harness.judge.verdict.compressed import compressed_group, compressed_names
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import NO_CONTROL, ClaimNeeds, ClaimSubject, NeededRun, unfused_of
from harness.judge.verdict.verdict import COMPRESSION_CLAIM, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.stats.difference import Difference

STUDIED = "int8"
"""The variant that a study makes."""


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone, each as it is trained and in 8 bits."""
    unfused = unfused_of(subject.model, subject.controls, subject.stand_in)
    if unfused is None:
        return NO_CONTROL
    pair = ((subject.model, None), (unfused.model, unfused.control))
    return tuple(NeededRun(f"{model}{what}", control) for what in ("", f"+{STUDIED}") for model, control in pair)


def judge(evidence: Evidence, head: Group) -> Verdict:
    """Decide claim compression about one fused model."""
    name, plain = evidence.unfused(head)
    first = next(iter(head.by_seed.values()))
    command = run_command(first, evidence.options.results, ["--controls"], f"{head.model}+{STUDIED}")
    if isinstance(plain, str):
        missing = (plain, *([] if plain == NO_CONTROL else [command]))
        return Verdict(COMPRESSION_CLAIM, head.model, INCONCLUSIVE, plain, (), missing)
    losses, problems = _losses(evidence, head, plain)
    gain = contrast_with_control(evidence, evidence.metric, [(1.0, head), (-1.0, plain)])
    shown = {} if isinstance(gain, str) else {f"F − {name}": gain}
    shown |= {f"lost by +{variant}": loss for variant, loss in losses.items()}
    numbers = tuple(number(each, difference) for each, difference in shown.items())
    refusal = is_too_few(head) or (gain if isinstance(gain, str) else None)
    if refusal is None and not losses:
        refusal = problems[0] if problems else f"no compressed variant of it and of {name} was run"
    if refusal is not None:
        return Verdict(COMPRESSION_CLAIM, head.model, INCONCLUSIVE, refusal, numbers, (refusal, command))
    assert not isinstance(gain, str)
    outcome, reason = _decide(evidence, name, gain, losses)
    needed = (*problems, "more seeds or samples") if outcome == INCONCLUSIVE else tuple(problems)
    return Verdict(COMPRESSION_CLAIM, head.model, outcome, reason, numbers, needed)


def _decide(evidence: Evidence, name: str, gain: Difference, losses: dict[str, Difference]) -> tuple[str, str]:
    if gain.low <= 0:
        return INCONCLUSIVE, f"no gain is shown that could be lost: F − {name} {gain.value:+.3f}"
    lost, kept = holm_shown(losses, evidence.options.margin)
    if gone := [variant for variant in losses if variant in lost - kept]:
        return NOT_SUPPORTED, f"gain lost by {', '.join(f'+{each} ({losses[each].value:+.3f})' for each in gone)}"
    if len(kept) == len(losses):
        return SUPPORTED, f"gain kept, but for less than the margin, by {', '.join(f'+{each}' for each in losses)}"
    open_ = [f"+{variant}" for variant in losses if variant not in kept]
    return INCONCLUSIVE, f"whether the gain is kept by {', '.join(open_)} is undecided"


def _losses(evidence: Evidence, head: Group, plain: Group) -> tuple[dict[str, Difference], list[str]]:
    """What each variant that both have loses of the gain; and why others cannot be compared."""
    found: dict[str, Difference] = {}
    problems = []
    for variant in compressed_names(evidence, head):
        small, other = compressed_group(evidence, head, variant), compressed_group(evidence, plain, variant)
        if isinstance(small, str) or isinstance(other, str):
            problems.append(small if isinstance(small, str) else str(other))
            continue
        terms = [(1.0, head), (-1.0, plain), (-1.0, small), (1.0, other)]
        loss = contrast_with_control(evidence, evidence.metric, terms)
        if isinstance(loss, str):
            problems.append(f"+{variant}: {loss}")
        else:
            found[variant] = loss
    return found, problems
