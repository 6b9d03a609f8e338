"""Claim forgetting: fusion forgets: trained on one domain after the other, F loses more of the earlier ones than C0.

The loss is minus BWT (Lopez-Paz and Ranzato 2017): the score just after a domain's own stage minus that after the last
one, mean over all domains but the last. Forgetting as the loss from the best stage (Chaudhry et al. 2018) is told, too.
The interval is over seeds and the test samples of each domain.
"""

from __future__ import annotations

from harness.judge.sequence_scores import SequenceScores, figure_difference, retention_estimate, sequence_scores
from harness.judge.verdict.comparison import common_seeds, decidable, few_seeds, number
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import (
    NO_CONTROL,
    SUGGESTED_SEQUENCE,
    ClaimNeeds,
    ClaimSubject,
    beside_unfused,
)
from harness.judge.verdict.settings import remedies_told
from harness.judge.verdict.verdict import (
    FORGETTING_CLAIM,
    INCONCLUSIVE,
    LEVEL,
    NOT_SUPPORTED,
    SUPPORTED,
    Number,
    Verdict,
)
from harness.stats.difference import Difference

_TOLD = ("Last", "Avg", "Transfer")


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone, each trained on the same sequence of domains."""
    if not subject.breadth.sequence:
        return "no sequence of domains to train on: name some with --set study.sequence=a,b"
    return beside_unfused(subject, sequence=subject.breadth.sequence)


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim forgetting about each model that was trained on a sequence, or once where none was."""
    if not heads:
        return []
    verdicts = [_judge(evidence, group) for group in sequences(evidence)]
    if verdicts:
        return verdicts
    like = next(iter(heads[0].by_seed.values()))
    command = run_command(like, evidence.options.results, ["--controls", f"--set train.sequence={SUGGESTED_SEQUENCE}"])
    reason = "no model was trained on one domain after the other"
    return [Verdict(FORGETTING_CLAIM, None, INCONCLUSIVE, reason, missing=(command,))]


def sequences(evidence: Evidence) -> list[Group]:
    """The fused models that were trained on a sequence: of each with each remedy the newest."""
    found: dict[str, Group] = {}
    for group in sorted(evidence.fused_groups(), key=lambda group: group.created):
        if all(sequence_scores(record) is not None for record in group.records):
            found[_name(group)] = group
    return [found[name] for name in sorted(found)]


def _name(group: Group) -> str:
    """The model, with the remedies that it was trained with in brackets."""
    told = remedies_told(group.settings)
    return f"{group.model} ({', '.join(told)})" if told else group.model


def _judge(evidence: Evidence, head: Group) -> Verdict:
    own = _name(head)
    name, plain = evidence.unfused(head)
    if isinstance(plain, str):
        command = () if plain == NO_CONTROL else (_command(evidence, head),)
        return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, plain, missing=(plain, *command))
    seeds = common_seeds([head, plain])
    if not seeds:
        reason = f"no seed in common between {head.name} and {plain.name}"
        return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, reason, missing=(reason,))
    fused = [found for seed in seeds if (found := sequence_scores(head.by_seed[seed])) is not None]
    alone = [found for seed in seeds if (found := sequence_scores(plain.by_seed[seed])) is not None]
    if len(alone) != len(seeds) or len({each.same for each in (*fused, *alone)}) > 1:
        reason = f"{plain.name} has no scores of the same samples of each domain"
        return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, reason, missing=(reason,))
    return _decide(evidence, head, (name, fused, alone))


def _decide(evidence: Evidence, head: Group, sides: tuple[str, list[SequenceScores], list[SequenceScores]]) -> Verdict:
    own, (name, fused, alone) = _name(head), sides
    found = figure_difference("BWT", (alone, fused))
    domains = ", ".join(fused[0].domains)
    numbers = (number(f"loss F − {name}", found, f"minus BWT, domains {domains}"), *_others(name, fused, alone))
    few = few_seeds(found.seeds)
    if few is not None:
        return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, few, numbers, (few, _command(evidence, head)))
    if isinstance(reason := decidable(found), str):
        return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, reason, numbers, (reason,))
    shown = f"loss of earlier domains F − {name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    if found.low > 0:
        return Verdict(FORGETTING_CLAIM, own, SUPPORTED, shown, numbers)
    if found.high < evidence.options.margin:
        reason = f"{shown} is below {evidence.options.margin:g}"
        return Verdict(FORGETTING_CLAIM, own, NOT_SUPPORTED, reason, numbers)
    missing = (f"more {found.needs}: {found.detectable:.3f} would be found (samples: train.sequence_limit)",)
    return Verdict(FORGETTING_CLAIM, own, INCONCLUSIVE, f"not told apart: {shown}", numbers, missing)


def _others(name: str, fused: list[SequenceScores], alone: list[SequenceScores]) -> tuple[Number, ...]:
    """The other figures: differences, then both models' own."""
    found = [number("forgetting (Chaudhry) F − " + name, figure_difference("forgetting", (fused, alone)))]
    found += [number(f"{figure} F − {name}", figure_difference(figure, (fused, alone))) for figure in _TOLD]
    for label, side in (("F", fused), (name, alone)):
        own = figure_difference("BWT", (side,))
        found.append(_level(f"BWT {label}", own))
        kept = retention_estimate(side)
        if kept is not None:
            found.append(Number(f"zero-shot retention {label}", kept.value, kept.low, kept.high, "Fieller", LEVEL))
    return tuple(found)


def _level(name: str, found: Difference) -> Number:
    return Number(name, found.value, found.low, found.high, kind=LEVEL)


def _command(evidence: Evidence, head: Group) -> str:
    return run_command(next(iter(head.by_seed.values())), evidence.options.results, ["--controls"])
