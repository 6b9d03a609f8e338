"""Claim group-bias: the fused model is biased against a group, more than vision alone.

Groups have 400 samples or more. They are slices of the samples (`METRIC[NAME]`) that do not overlap and leave none out,
by the metric that ranks, else by top-1; or those of each column that the user gives (`--groups`). On Scenes they are
judged twice: trained as ever, where the badge says nothing of the class, and with `--set task.badge_agreement=0.95`,
where it goes with the class in 95 of 100 training images. Bias amplification stands beside, with its own difference to
vision alone; 0 is its null where groups are balanced. The gap is the accuracy of the best group minus that of the
worst, both chosen by the mean over seeds. Biased where the worst group is below what equally good groups would show by
chance (exact, `harness.judge.robustness.worst_group`; twice the median p over seeds is a valid p however they depend:
Meinshausen, Meier & Buehlmann 2009) and the gap is above that of vision alone. The two gaps are compared sample by
sample, within groups; where it is not stored which samples are right, by binomial variances, the models as independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from harness.errors import DataError
from harness.judge.robustness.worst_group import LEAST_IN_A_GROUP, worst_group
from harness.judge.verdict.comparison import Term, contrast_with_control, few_seeds, number
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.group_sources import Groups, GroupSource, group_sources
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import NO_CONTROL, ClaimNeeds, ClaimSubject, NeededRun, beside_unfused
from harness.judge.verdict.verdict import (
    GROUP_BIAS_CLAIM,
    INCONCLUSIVE,
    LEVEL,
    NOT_SUPPORTED,
    SUPPORTED,
    Number,
    Verdict,
)
from harness.stats.bias_amplification import OF_ATTRIBUTES
from harness.stats.difference import Difference, unpaired_difference, weighted_difference
from harness.stats.resampling import FloatArray

_ALPHA = 0.05


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone on a split with groups of enough samples, trained as ever and on biased data."""
    sizes = {split: min(counts.values()) for split, counts in subject.groups.items() if len(counts) > 1}
    if not sizes:
        return "no groups: no split of this data divides its samples into groups"
    split = max(sizes, key=lambda name: sizes[name])
    if sizes[split] < LEAST_IN_A_GROUP:
        return f"groups are too small: the smallest of split {split} has {sizes[split]} of {LEAST_IN_A_GROUP} samples"
    runs: list[NeededRun] = []
    for data in ((), *((setting,) for setting in subject.biased)):
        found = beside_unfused(subject, split=split, data=data)
        if isinstance(found, str):
            return found
        runs += found
    return tuple(runs)


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim group-bias about each fused model, by each column of the user's where there are some.

    Once where the table has no groups, or too small ones.
    """
    return [verdict for source in group_sources(evidence) for verdict in _judge_by(evidence, heads, source)]


def _judge_by(evidence: Evidence, heads: list[Group], source: GroupSource) -> list[Verdict]:
    if not heads:
        return []
    by = f"by {source.column}: " if source.column else ""
    try:
        found = [own for head in heads if (own := source.groups(head, next(iter(head.by_seed))).scores)]
    except DataError as error:
        return [Verdict(GROUP_BIAS_CLAIM, None, INCONCLUSIVE, f"{by}{error}", missing=(str(error),))]
    if (len(found) < len(heads) and source.column) or not found or len(found[0]) < 2:
        reason = f"{by}fewer than two groups have samples here"
        missing = ("a column with two groups or more of these samples",)
        if not source.column:
            reason = f"no groups: {evidence.metric} has no slices that divide the samples into groups"
            missing = ("a split with groups, such as --split groups of Scenes, or --groups FILE.csv",)
        return [Verdict(GROUP_BIAS_CLAIM, None, INCONCLUSIVE, reason, missing=missing)]
    smallest = min((score.count, name) for name, score in found[0].items())
    if smallest[0] < LEAST_IN_A_GROUP:
        reason = f"{by}group {smallest[1]} has {smallest[0]} of {LEAST_IN_A_GROUP} samples"
        missing = (f"{LEAST_IN_A_GROUP} samples in every group",)
        return [Verdict(GROUP_BIAS_CLAIM, None, INCONCLUSIVE, reason, missing=missing)]
    verdicts = [_judge(evidence, head, source) for head in heads]
    return [replace(verdict, reason=f"{by}{verdict.reason}") for verdict in verdicts]


def _judge(evidence: Evidence, head: Group, source: GroupSource) -> Verdict:
    name, plain = evidence.unfused(head)
    command = run_command(next(iter(head.by_seed.values())), evidence.options.results, ["--controls"])
    if isinstance(plain, str):
        return Verdict(
            GROUP_BIAS_CLAIM, head.model, INCONCLUSIVE, plain, (), (plain, *([] if plain == NO_CONTROL else [command]))
        )
    seeds = sorted(head.by_seed.keys() & plain.by_seed.keys())
    try:
        ours, theirs = ([source.groups(group, seed) for seed in seeds] for group in (head, plain))
    except DataError as error:
        return Verdict(GROUP_BIAS_CLAIM, head.model, INCONCLUSIVE, str(error), (), (str(error),))
    divisions = {tuple(sorted(own.scores)) for own in (*ours, *theirs)}
    if not seeds or len(divisions) != 1 or () in divisions:
        reason = f"{head.name} and {name} have not the same groups in every seed"
        return Verdict(GROUP_BIAS_CLAIM, head.model, INCONCLUSIVE, reason, (), (reason,))
    (_, worst), gap = _ends(ours), _gap_difference(ours, theirs)
    nulls = [worst_group(own.scores) for own in ours]
    p = min(1.0, 2 * median(null.p for null in nulls))
    accuracy = float(np.mean([own.scores[worst].right / own.scores[worst].count for own in ours]))
    null = nulls[0].null
    numbers = (
        number(f"gap F − {name}", gap, unpaired="binomial, models as independent"),
        Number(f"worst group ({worst})", accuracy, kind=LEVEL),
        Number("worst of equal groups", null.known, null.low, null.high, f"exact null; p {p:.3g} over seeds", LEVEL),
        *(() if source.column else _amplification(evidence, head, name, plain)),
    )
    few = few_seeds(len(seeds))
    if few is not None:
        return Verdict(GROUP_BIAS_CLAIM, head.model, INCONCLUSIVE, few, numbers, (few, command))
    shown = f"{numbers[0].shown}, worst group {worst} {accuracy:.3f} (equal groups: {null.known:.3f}, p {p:.2g})"
    if gap.low > 0 and p <= _ALPHA:
        return Verdict(GROUP_BIAS_CLAIM, head.model, SUPPORTED, shown, numbers)
    if gap.high < evidence.options.margin:
        return Verdict(GROUP_BIAS_CLAIM, head.model, NOT_SUPPORTED, f"no wider gap than vision alone: {shown}", numbers)
    missing = (f"more {gap.needs}: {gap.detectable:.3f} would be found",)
    return Verdict(GROUP_BIAS_CLAIM, head.model, INCONCLUSIVE, f"not told apart: {shown}", numbers, missing)


def _amplification(evidence: Evidence, head: Group, name: str, plain: Group) -> list[Number]:
    """How far answers follow an attribute that is tied to labels in biased data; 0 where they do not at all."""
    terms: Mapping[str, list[Term]] = {
        "bias amplification": [(1.0, head)], f"bias amplification F − {name}": [(1.0, head), (-1.0, plain)],
    }  # fmt: skip
    if any(OF_ATTRIBUTES not in record.metrics for record in (*head.records, *plain.records)):
        return []
    found = {label: contrast_with_control(evidence, OF_ATTRIBUTES, own) for label, own in terms.items()}
    note = "attribute to label; 0 where answers do not follow it"
    return [number(label, shown, note) for label, shown in found.items() if not isinstance(shown, str)]


def _ends(of_seeds: Sequence[Groups]) -> tuple[str, str]:
    """The groups that are best and worst on average over seeds."""
    names = sorted(of_seeds[0].scores)
    means = np.array([[own.scores[name].right / own.scores[name].count for name in names] for own in of_seeds]).mean(0)
    return names[int(means.argmax())], names[int(means.argmin())]


def _gap_difference(ours: Sequence[Groups], theirs: Sequence[Groups]) -> Difference:
    """The gap of one model minus that of the other, over seeds and samples."""
    first = ours[0]
    if all(own.right is not None and own.sample_ids == first.sample_ids for own in (*ours, *theirs)):
        values = [
            np.array([_contributions(own, ends) for own in side]) for side in (ours, theirs) for ends in [_ends(side)]
        ]
        return weighted_difference((1.0, -1.0), values, first.sample_ids)
    (gaps, variance), (plain_gaps, plain_variance) = _binomial(ours), _binomial(theirs)
    count = min(score.count for score in first.scores.values())
    return unpaired_difference(gaps - plain_gaps, variance + plain_variance, count)


def _contributions(own: Groups, ends: tuple[str, str]) -> FloatArray:
    """[N] what each sample adds to the gap, whose mean they are: the gap and how far it moves the share of its group.

    Groups are taken as they are: a sample stands for others of its group.
    """
    assert own.right is not None
    names, gap, moved = np.array(own.names), 0.0, np.zeros(len(own.right))
    for sign, end in zip((1.0, -1.0), ends, strict=True):
        inside = names == end
        share = own.right[inside].mean()
        gap += sign * share
        moved[inside] += sign * (own.right[inside] - share) * (len(names) / inside.sum())
    return np.asarray(gap + moved)


def _binomial(of_seeds: Sequence[Groups]) -> tuple[FloatArray, float]:
    """The gap of each seed `[S]` and the variance that samples give it."""
    ends = _ends(of_seeds)
    found = [[own.scores[end] for end in ends] for own in of_seeds]
    shares = np.array([[score.right / score.count for score in both] for both in found])
    # (k + 1) / (n + 2), since a share of 0 or 1 has variance too
    pairs = zip(shares.mean(axis=0), (score.count for score in found[0]), strict=True)
    even = [((mean * n + 1) / (n + 2), n) for mean, n in pairs]
    return shares[:, 0] - shares[:, 1], float(sum(share * (1 - share) / n for share, n in even))
