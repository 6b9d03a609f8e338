"""Claim fusion-gain: fusing raises the score above the matched controls C0 to C4, and the model uses what it fuses.

Supported only if every F - Ci is above 0 (Holm over the controls), no control is missing, the model and its controls
can learn here and the modality battery shows that image and text are used. Not supported where any F - Ci is shown to
be below the smallest difference of interest, or the text shown not to be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.judge.verdict.comparison import contrast_with_control, few_seeds, holm_shown, is_too_few, number
from harness.judge.verdict.evidence import LADDER, Evidence, Group
from harness.judge.verdict.leak import leak
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.modality_use import battery, usage
from harness.judge.verdict.needs import NO_CONTROL, ClaimNeeds, ClaimSubject, NeededRun, unfused_of
from harness.judge.verdict.slices import reversals
from harness.judge.verdict.verdict import FUSION_GAIN_CLAIM, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.stats.difference import Difference

KILLS: Mapping[str, str] = {
    "C0": "no gain over vision alone",
    "C1": "capacity explains the gain",
    "C2": "a pretrained language model adds nothing",
    "C3": "the content of the texts adds nothing",
    "C4": "side information does as much as language",
}
LEAKS, REVERSED = "the texts alone give answers away", "reversed in"
"""How a reason begins to name texts that leak, and slices that go the other way than the average."""
_NEAR_CEILING = 0.02
_SHARES = " shares "
_MEANS: Mapping[str, str] = {
    "C0": "total effect", "C1": "beyond capacity", "C2": "pretrained language", "C3": "content of language",
    "C4": "language beyond side information",
}  # fmt: skip


@dataclass(frozen=True)
class ControlLadder:
    """F - Ci for each control that could be compared; `void` says why one of the others could not, or may not."""

    differences: Mapping[str, Difference]
    void: Mapping[str, str]
    absent: bool


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model, every control of the ladder that it offers (C0 may be a stand-in), and the battery on the model."""
    plain = unfused_of(subject.model, subject.controls, subject.stand_in)
    if plain is None:
        return NO_CONTROL
    controls = [NeededRun(subject.model, name) for name in LADDER if name in subject.controls]
    stand_in = [NeededRun(plain.model)] if plain.control is None else []
    return (NeededRun(subject.model, conditions=battery()), *stand_in, *controls)


def judge(evidence: Evidence, head: Group) -> Verdict:
    """Decide claim fusion-gain about one fused model; reversed slices and leaking texts stand beside it."""
    return _with_leak(evidence, head, _with_slices(evidence, head, _on_average(evidence, head)))


def _with_leak(evidence: Evidence, head: Group, verdict: Verdict) -> Verdict:
    found = leak(evidence, head)
    if found is None:
        return verdict
    reason = f"{verdict.reason}; {LEAKS}: {found.shown}, {found.note.removeprefix('no image; ')}"
    return replace(verdict, reason=reason, numbers=(*verdict.numbers, found))


def _with_slices(evidence: Evidence, head: Group, verdict: Verdict) -> Verdict:
    _, plain = evidence.unfused(head)
    if isinstance(plain, str) or is_too_few(head):
        return verdict
    opposite = reversals(evidence, head, plain)
    if not opposite:
        return verdict
    numbers = tuple(number(f"F − C0 in {name}", found, "against the average") for name, found in opposite.items())
    reason = f"{verdict.reason}; {REVERSED} {', '.join(opposite)}"
    return replace(verdict, reason=reason, numbers=(*verdict.numbers, *numbers))


def _on_average(evidence: Evidence, head: Group) -> Verdict:
    ladder = climb(evidence, head, evidence.metric, LADDER)
    numbers = tuple(
        number(f"F − {name}", found, _MEANS.get(name[:2], "")) for name, found in ladder.differences.items()
    )
    missing = _missing(evidence, head, ladder)
    refusal = is_too_few(head) or _refusal(evidence, head, ladder)
    if refusal is not None:
        return Verdict(FUSION_GAIN_CLAIM, head.model, INCONCLUSIVE, refusal, numbers, missing)
    decided = {n: d for n, d in ladder.differences.items() if n not in ladder.void}
    above, below = holm_shown(decided, evidence.options.margin)
    if below:
        return Verdict(
            FUSION_GAIN_CLAIM, head.model, NOT_SUPPORTED, _killed(below, decided, evidence.options.margin), numbers
        )
    use = usage(evidence, head)
    if use.unused:
        return Verdict(
            FUSION_GAIN_CLAIM, head.model, NOT_SUPPORTED, f"no gain can come from language: {use.unused}", numbers
        )
    missing = (*missing, *([use.missing] if use.missing else []))
    if not missing and above == set(decided):
        reason = f"above {', '.join(decided)}: {_shown(_weakest(decided), decided)} is the least; {use.used}"
        return Verdict(FUSION_GAIN_CLAIM, head.model, SUPPORTED, reason, numbers)
    undecided = {n: d for n, d in decided.items() if n not in above}
    reason = f"not told apart: {_shown(_weakest(undecided), undecided)}" if undecided else missing[0]
    return Verdict(FUSION_GAIN_CLAIM, head.model, INCONCLUSIVE, reason, numbers, (*missing, *narrower(undecided)))


def climb(evidence: Evidence, head: Group, metric: str, wanted: tuple[str, ...]) -> ControlLadder:
    """Compare a model with those of the wanted controls that it offers; C0 may be the user's stand-in."""
    offered = evidence.fusion.controls.get(head.model, ())
    groups = {name: evidence.control(head, name) for name in wanted if name in offered}
    if "C0" in wanted and "C0" not in offered:
        name, stand_in = evidence.unfused(head)
        groups = {name: stand_in, **groups}
    differences, void, absent = {}, {}, False
    for name, group in groups.items():
        if isinstance(group, str):
            void[name], absent = group, True
            continue
        found = contrast_with_control(evidence, metric, [(1.0, head), (-1.0, group)])
        if isinstance(found, str):
            void[name] = f"{name}: {found}"
            continue
        differences[name] = found
        few = few_seeds(found.seeds)
        if few is not None:
            void[name], absent = f"{name}{_SHARES}{few} with the model", True
        elif group.learnable is False:
            void[name] = f"{name} cannot fit 32 samples here: it is no fair control"
    return ControlLadder(differences, void, absent)


def voids(head: Group, void: Mapping[str, str]) -> list[str]:
    """Say what could not be compared; controls that were not run in one line, the model's own few seeds not again."""
    not_run = [name for name, reason in void.items() if reason == f"{name} was not run"]
    short = [name for name in void if is_too_few(head) and _SHARES in void[name]]
    rest = [reason for name, reason in void.items() if name not in (*not_run, *short)]
    return [*([f"{', '.join(not_run)} not run"] if not_run else []), *rest]


def narrower(undecided: Mapping[str, Difference]) -> list[str]:
    """Say what would decide: more seeds or more test samples, and what could be found as it is."""
    if not undecided:
        return []
    widest = max(undecided.values(), key=lambda found: found.error)
    return [f"more {widest.needs}: a true difference of {widest.detectable:.3f} would be found in 4 of 5 experiments"]


def _missing(evidence: Evidence, head: Group, ladder: ControlLadder) -> tuple[str, ...]:
    found = voids(head, ladder.void)
    if is_too_few(head) or (ladder.absent and list(ladder.void.values()) != [NO_CONTROL]):
        extra = ["--controls"] if evidence.fusion.controls.get(head.model) else []
        found.append(run_command(next(iter(head.by_seed.values())), evidence.options.results, extra))
    if head.learnable is None:
        found.append("the gate of learnability was not run: --set train.gate_steps=120")
    return tuple(found)


def _refusal(evidence: Evidence, head: Group, ladder: ControlLadder) -> str | None:
    """Say why nothing may be concluded whatever the differences are."""
    if head.learnable is False:
        return "not learnable here: the model cannot fit 32 training samples"
    if not [name for name in ladder.differences if name not in ladder.void]:
        return next(iter(ladder.void.values()), "no control is offered")
    return _ceiling(evidence, head, ladder)


def _ceiling(evidence: Evidence, head: Group, ladder: ControlLadder) -> str | None:
    """Where the model and a control are both at what is possible, a difference says nothing."""
    record = next(iter(head.by_seed.values()))
    ceiling = record.ceilings.get(evidence.metric, {}).get("both")
    estimates = [e.value for r in head.by_seed.values() if (e := r.metrics.get(evidence.metric)) is not None]
    if ceiling is None or not estimates:
        return None
    score = sum(estimates) / len(estimates)
    near = [n for n, d in ladder.differences.items() if min(score, score - d.value) >= ceiling - _NEAR_CEILING]
    return f"the model and {near[0]} are both within 2 points of the ceiling {ceiling:.3f}" if near else None


def _killed(below: set[str], decided: Mapping[str, Difference], margin: float) -> str:
    names = [name for name in decided if name in below]
    why = "; ".join(KILLS.get(name[:2], "no gain") for name in names)
    shown = ", ".join(_shown(name, decided) for name in names)
    return f"{why}: {shown} {'is' if len(names) == 1 else 'are'} below {margin:g}"


def _weakest(differences: Mapping[str, Difference]) -> str:
    return min(differences, key=lambda name: differences[name].low)


def _shown(name: str, differences: Mapping[str, Difference]) -> str:
    found = differences[name]
    return f"F − {name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
