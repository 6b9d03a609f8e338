"""What the texts alone give away: a model that sees no image (C5) and is shown to be above what guessing scores.

A gain of a fused model is then in part one of reading answers off the texts. Where it is known what the texts of a
world may tell (`RunRecord.ceilings`), only what is above that is a leak.
"""

from __future__ import annotations

from harness.judge.verdict.comparison import contrast_with_control, few_seeds
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.verdict import LEVEL, Number

_TEXT_ONLY = "C5"


def leak(evidence: Evidence, head: Group) -> Number | None:
    """Give the score of the text alone with what it should not exceed; None where no leak is shown.

    What guessing scores is known from the runs under perturbation, of the model or of C5.
    """
    alone = evidence.control(head, _TEXT_ONLY)
    if isinstance(alone, str):
        return None
    guessed = _chance(evidence, head, alone)
    level = contrast_with_control(evidence, evidence.metric, [(1.0, alone)])
    if guessed is None or isinstance(level, str) or few_seeds(level.seeds):
        return None
    told = next(iter(alone.by_seed.values())).ceilings.get(evidence.metric, {}).get("text", guessed)
    if level.low <= max(guessed, told):
        return None
    known = f"the texts of this world tell {told:.3f}" if told > guessed else f"guessing scores {guessed:.3f}"
    return Number(f"{_TEXT_ONLY} alone", level.value, level.low, level.high, f"no image; {known}", LEVEL)


def _chance(evidence: Evidence, *groups: Group) -> float | None:
    sweeps = (sweep for group in groups for sweep in evidence.robustness_of(group).values())
    return next((sweep.chance for sweep in sweeps if sweep.metric == evidence.metric), None)
