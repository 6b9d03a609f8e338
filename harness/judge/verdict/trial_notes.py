"""What a verdict must say of trials: where the best settings lie at the edge of what was tried, and unequal trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.judge.trial_scores import edges_told, trial_scores
from harness.judge.verdict.evidence import Evidence, Group

TRIALS = "train.trials"


def trial_notes(evidence: Evidence, heads: Sequence[Group]) -> list[str]:
    """Say it of each judged model and of its controls; nothing of models without trials."""
    return [note for head in heads for note in _notes(evidence, head)]


def _notes(evidence: Evidence, head: Group) -> Iterator[str]:
    arms = [head]
    for name in evidence.fusion.controls.get(head.model, ()):
        found = evidence.control(head, name)
        if isinstance(found, Group):
            arms.append(found)
        else:
            yield from _unequal(evidence, head, name)
    for arm in arms:
        edges = edges_told([trials for record in arm.records if (trials := trial_scores(record)) is not None])
        if edges:
            yield f"{arm.name}: the best trial lies at the edge of the space, {edges}: beyond it may be better settings"


def _unequal(evidence: Evidence, head: Group, control: str) -> Iterator[str]:
    """A control that was tuned by more or fewer trials is no fair one."""
    own = head.settings[TRIALS]
    others = {g.settings[TRIALS] for g in evidence.groups if (g.model, g.control) == (head.model, control)}
    if others and own not in others:
        told = " and ".join(str(number) for number in sorted(others))
        yield f"{head.name} had {own} trials, {control} {told}: run both with the same --trials"
