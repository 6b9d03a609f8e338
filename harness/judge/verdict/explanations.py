"""Claim explanations: what methods of attribution say of the fused model holds.

A method holds where its maps lie within what decides (*mass*, where the data knows it) and are heeded by the model
(*insertion - deletion*) more than maps that know nothing of the model (random, centre, edges; of words random and the
longest), and more than the same method's maps on shuffled weights: one that does as well there says nothing of what was
learned, and is void (Adebayo et al. 2018, arXiv 1810.03292). Paired over samples and seeds, Holm over all methods,
measures and rivals. The claim is supported where one method holds, and refuted where each is shown not to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from harness.explain.baseline_maps import IMAGE_BASELINES, WORD_BASELINES
from harness.explain.map_kinds import OF_SHUFFLED, shuffled_of
from harness.explain.map_scores import HEED, MASS
from harness.explain.methods import INTEGRATED_GRADIENTS, OCCLUSION
from harness.judge.explained import ExplainedSeeds, explained_seeds
from harness.judge.verdict.comparison import few_samples, holm_shown, is_too_few, number
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import ClaimNeeds, ClaimSubject, NeededRun
from harness.judge.verdict.verdict import EXPLANATIONS_CLAIM, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Number, Verdict
from harness.stats.difference import Difference, weighted_difference

STUDIED_METHODS = (OCCLUSION, INTEGRATED_GRADIENTS)
"""The methods that a study runs."""
_RIVALS: Mapping[str, Sequence[str]] = {"image": IMAGE_BASELINES, "text": WORD_BASELINES}
_MEASURES: Sequence[tuple[str, str, str]] = (
    ("image", "truth", MASS),
    ("image", "heed", HEED),
    ("text", "truth", MASS),
)
"""Modality, table and measure that a method must be better in; those that the data does not know are left out."""


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model with its explanations, and C0 with its own beside it where that is offered."""
    if find_spec("captum") is None:
        return "explanations need the package captum: pip install 'fusemark[explain]'"
    controls = [None, *(name for name in ("C0",) if name in subject.controls)]
    return tuple(NeededRun(subject.model, control, explain=STUDIED_METHODS) for control in controls)


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim explanations about each fused model, or once where no answer was explained."""
    explained = [head for head in heads if evidence.explanations_of(head)]
    if explained or not heads:
        return [_judge(evidence, head) for head in explained]
    missing = _command(evidence, heads[0])
    return [Verdict(EXPLANATIONS_CLAIM, None, INCONCLUSIVE, "no answers were explained", missing=(missing,))]


def _judge(evidence: Evidence, head: Group) -> Verdict:
    records = evidence.explanations_of(head)
    few = is_too_few(head)
    lacking = [seed for seed in head.by_seed if seed not in records]
    if few is None and lacking:
        few = f"{len(lacking)} of {len(head.by_seed)} seeds have no explanations"
    tables = _tables(evidence, head)
    methods = [m for m in dict.fromkeys(m for r in records.values() for m in r.methods) if _explains(m, tables)]
    comparisons = {method: dict(_comparisons(method, tables)) for method in methods}
    shown = {name: found for own in comparisons.values() for name, found in own.items()}
    numbers = (*_weakest(shown), *_over_unfused(evidence, head, methods))
    unchecked = [m for m in methods if not any(name.endswith(OF_SHUFFLED) for name in comparisons[m])]
    refusal = few
    if refusal is None and not shown:
        refusal = "no method has a map of this model: bench explanations says why"
    if refusal is None and unchecked:
        refusal = f"{', '.join(unchecked)}: no weights that could be shuffled, so nobody knows whether maps are void"
    refusal = refusal or next((why for d in shown.values() if (why := few_samples(d.clusters) or d.note)), None)
    if refusal is not None:
        missing = (_command(evidence, head),) if few is not None else (refusal,)
        return Verdict(EXPLANATIONS_CLAIM, head.model, INCONCLUSIVE, refusal, numbers, missing)
    above, below = holm_shown(shown, evidence.options.margin)
    return _decided(head, comparisons, above, below, numbers)


def _decided(
    head: Group,
    comparisons: Mapping[str, Mapping[str, Difference]],
    above: set[str],
    below: set[str],
    numbers: tuple[Number, ...],
) -> Verdict:
    holding = [method for method, own in comparisons.items() if own.keys() <= above]
    if holding:
        reason = f"by {', '.join(holding)}: above every baseline and above shuffled weights"
        return Verdict(EXPLANATIONS_CLAIM, head.model, SUPPORTED, reason, numbers)
    failing = {method: [name for name in own if name in below] for method, own in comparisons.items()}
    if all(failing.values()):
        reason = f"no better than what knows nothing of the model: {'; '.join(names[0] for names in failing.values())}"
        return Verdict(EXPLANATIONS_CLAIM, head.model, NOT_SUPPORTED, reason, numbers)
    shown = {name: found for own in comparisons.values() for name, found in own.items()}
    undecided = {name: found for name, found in shown.items() if name not in above | below} or shown
    name = min(undecided, key=lambda each: undecided[each].low)
    missing = (f"more {undecided[name].needs} for {name}: {undecided[name].detectable:.3f} would be found",)
    return Verdict(EXPLANATIONS_CLAIM, head.model, INCONCLUSIVE, f"not told apart: {name}", numbers, missing)


def _tables(evidence: Evidence, group: Group) -> dict[tuple[str, str], ExplainedSeeds]:
    records = evidence.explanations_of(group)
    ordered = [records[seed] for seed in sorted(records)]
    found = {
        (modality, held): explained_seeds(ordered, f"{modality}-{held}", evidence.read_explained)
        for modality, held, _ in _MEASURES
    }
    return {key: table for key, table in found.items() if table is not None}


def _explains(method: str, tables: Mapping[tuple[str, str], ExplainedSeeds]) -> bool:
    return any(name == method for table in tables.values() for name, _ in table.values)


def _comparisons(method: str, tables: Mapping[tuple[str, str], ExplainedSeeds]) -> Iterator[tuple[str, Difference]]:
    for modality, held, measure in _MEASURES:
        table = tables.get((modality, held))
        for rival in (*_RIVALS[modality], shuffled_of(method)):
            found = None if table is None else table.difference((method, measure), (rival, measure))
            if found is not None:
                told = OF_SHUFFLED if rival == shuffled_of(method) else rival
                yield f"{_measured(method, modality, measure)} − {told}", found


def _measured(method: str, modality: str, measure: str) -> str:
    return f"{method}: {'' if modality == 'image' else 'text '}{measure}"


def _weakest(shown: Mapping[str, Difference]) -> Iterator[Number]:
    """Of each method and measure the rival that it is least above: it is above all of them only if above that one."""
    weakest: dict[str, tuple[str, Difference]] = {}
    for name, found in shown.items():
        measured = name.partition(" − ")[0]
        if measured not in weakest or found.low < weakest[measured][1].low:
            weakest[measured] = name, found
    return (number(name, found) for name, found in weakest.values())


def _over_unfused(evidence: Evidence, head: Group, methods: Sequence[str]) -> Iterator[Number]:
    """Whether maps of the fused model lie better within what decides than those of vision alone; decides nothing."""
    name, plain = evidence.unfused(head)
    if isinstance(plain, str):
        return
    ours, theirs = _tables(evidence, head), _tables(evidence, plain)
    for modality, held, measure in _MEASURES[:2]:
        one, other = ours.get((modality, held)), theirs.get((modality, held))
        if one is None or other is None or one.clusters != other.clusters:
            continue
        for method in methods:
            pair = [table.values.get((method, measure)) for table in (one, other)]
            if all(values is not None for values in pair) and pair[0].shape == pair[1].shape:  # type: ignore[union-attr]
                found = weighted_difference((1.0, -1.0), pair, one.clusters)  # type: ignore[arg-type]
                yield number(f"{_measured(method, modality, measure)}: F − {name}", found)


def _command(evidence: Evidence, head: Group) -> str:
    like = next(iter(head.by_seed.values()))
    return run_command(like, evidence.options.results, ["--controls C0", f"--explain {','.join(STUDIED_METHODS)}"])
