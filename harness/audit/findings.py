"""Which of what an audit found bears on scores, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.found import Audit, SplitAudit

_UNBALANCED = 10.0


def findings_of(audit: Audit, training_split: str | None) -> Iterator[str]:
    """Say what of an audit a reader of scores should know."""
    for split in audit.splits:
        if split.unreadable:
            yield f"{split.name}: {len(split.unreadable):,} of {split.images:,} images cannot be read"
        if split.disagreement.differing:
            count = len(split.disagreement.differing)
            yield f"{split.name}: {count:,} samples have images with another answer too: no model is right on all"
    for shared in audit.shared:
        if training_split in (shared.first, shared.second):
            extent = f"{shared.count:,} of {shared.of:,} images of {shared.second}"
            yield f"{extent} look like images of {shared.first}: scores on them may be of memory"
    for split in audit.splits:
        for guess in split.guesses:
            agreement = split.disagreement.agreement
            if agreement and guess.source == "prior" and guess.score >= agreement / 2:
                scores = f"{guess.score:.3f} of the {agreement:.3f} of people"
                yield f"{split.name}: one caption for all images scores {scores}"
            elif agreement is None and guess.source == "text" and guess.score >= _easily(audit, split):
                yield f"{split.name}: {guess.how} is right in {guess.score:.1%} without an image"
        if split.balance and (split.balance.ratio or 0) >= _UNBALANCED:
            yield f"{split.name}: the commonest class is {split.balance.ratio:.0f} times as common as the rarest"


def _easily(audit: Audit, split: SplitAudit) -> float:
    """From which accuracy a guess from text is told: half as good again as the prior, or 60 % among two choices."""
    priors = [guess.score for guess in split.guesses if guess.source == "prior"]
    return 1.5 * max(priors) if priors else 0.6
