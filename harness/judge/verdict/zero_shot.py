"""Claim zero-shot: fusion enables zero-shot: above C4 by language, above C3 alone by side information.

By every metric of unseen classes that the records have: unseen top-1 and AUSUC, AP of novel categories, hIoU. Supported
"by language" where all are above C4 (attributes without language), "by side information" where all are above C3 (texts
permuted, or vectors without content). Holm over metrics and controls.

Of labels AUSUC (Chao et al. 2016, arXiv 1605.04253) stands in the place of H (Xian et al. 2017): H moves with how
readily unseen classes are named at all, which a constant taken off the scores of seen ones changes, and AUSUC does not.
It can be won on seen classes alone, so unseen top-1, to which seen classes are nothing, must be won too. H counts where
answers are labels without probabilities, and AUSUC cannot be known.
"""

from __future__ import annotations

from harness.judge.verdict.accuracy import climb, narrower, voids
from harness.judge.verdict.comparison import holm_shown, is_too_few, number
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import UNSEEN_METRICS, ClaimNeeds, ClaimSubject, NeededRun
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, ZERO_SHOT_CLAIM, Verdict
from harness.stats.difference import Difference

_CALIBRATED, _RAW = "AUSUC", "H"
_SIDE, _LANGUAGE = "C3", "C4"


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and those of C3 and C4 that it offers, on a task with metrics of unseen classes."""
    if not set(UNSEEN_METRICS) & set(subject.metrics):
        return "no class of this task is unseen in training"
    controls = [name for name in (_SIDE, _LANGUAGE) if name in subject.controls]
    if not controls:
        return "neither C3 nor C4 is offered"
    return tuple(NeededRun(subject.model, control) for control in (None, *controls))


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim zero-shot about each fused model, or once for a table without unseen classes."""
    metrics = unseen_metrics(heads)
    if not metrics and heads:
        reason = "no class of this table is unseen in training"
        return [Verdict(ZERO_SHOT_CLAIM, None, INCONCLUSIVE, reason, missing=("a task with unseen classes",))]
    return [judge(evidence, head, metrics) for head in heads]


def unseen_metrics(heads: list[Group]) -> list[str]:
    """Name the metrics of unseen classes that the models have; H only where none of them has AUSUC."""
    found = [name for name in UNSEEN_METRICS if any(r.metrics.get(name) for h in heads for r in h.records)]
    return [name for name in found if name != _RAW or _CALIBRATED not in found]


def judge(evidence: Evidence, head: Group, metrics: list[str]) -> Verdict:
    """Decide claim zero-shot about one fused model."""
    found: dict[tuple[str, str], Difference] = {}
    void: dict[str, str] = {}
    for metric in metrics:
        ladder = climb(evidence, head, metric, (_SIDE, _LANGUAGE))
        found |= {(metric, name): d for name, d in ladder.differences.items() if name not in ladder.void}
        void |= ladder.void
    shown = {f"{metric}: F − {name}": d for (metric, name), d in found.items()}
    numbers = tuple(number(name, difference) for name, difference in shown.items())
    missing = voids(head, void)
    if is_too_few(head) or void:
        missing.append(run_command(next(iter(head.by_seed.values())), evidence.options.results, ["--controls"]))
    refusal = is_too_few(head) or ("not learnable here" if head.learnable is False else None)
    if not refusal and not found:
        refusal = next(iter(void.values()), "neither C3 nor C4 is offered")
    if refusal is not None:
        return Verdict(ZERO_SHOT_CLAIM, head.model, INCONCLUSIVE, refusal, numbers, tuple(missing))
    above, below = holm_shown(shown, evidence.options.margin)
    outcome, reason = _decide(metrics, found, above, below)
    undecided = {name: d for name, d in shown.items() if name not in above | below}
    needed = (*missing, *narrower(undecided)) if outcome == INCONCLUSIVE else ()
    return Verdict(ZERO_SHOT_CLAIM, head.model, outcome, reason, numbers, needed)


def _decide(
    metrics: list[str], found: dict[tuple[str, str], Difference], above: set[str], below: set[str]
) -> tuple[str, str]:
    """Take both controls in turn: every metric must be above; one that is shown not to be refutes."""
    by_control = {
        control: {m: f"{m}: F − {control}" for m in metrics if (m, control) in found} for control in (_LANGUAGE, _SIDE)
    }
    beaten = {c: len(names) == len(metrics) and set(names.values()) <= above for c, names in by_control.items()}
    equal = {c: [m for m, name in names.items() if name in below] for c, names in by_control.items()}
    if beaten[_LANGUAGE] and not equal[_LANGUAGE]:
        return SUPPORTED, f"by language: {', '.join(metrics)} above C4, attributes without language"
    if equal[_SIDE]:
        return NOT_SUPPORTED, f"{', '.join(equal[_SIDE])} no better than with texts without content (C3)"
    if beaten[_SIDE]:
        language = "C4 was not compared"
        if equal[_LANGUAGE]:
            language = f"attributes without language (C4) do as well by {', '.join(equal[_LANGUAGE])}"
        elif by_control[_LANGUAGE]:
            language = "whether above C4 is undecided"
        return SUPPORTED, f"by side information only: {', '.join(metrics)} above C3; {language}"
    open_ = [name for names in by_control.values() for name in names.values() if name not in above]
    return INCONCLUSIVE, f"not told apart: {', '.join(open_)}" if open_ else "some metric could not be compared"
