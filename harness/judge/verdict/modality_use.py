"""Whether the fused model uses the image and the text: no gain may be put down to what it does not use."""

from __future__ import annotations

from dataclasses import dataclass

from harness.judge.robustness.modality_use import (
    IMAGE_EXCHANGED,
    IMAGE_REMOVED,
    NO,
    TEXT_EXCHANGED,
    TEXT_REMOVED,
    YES,
    Use,
    modality_use,
)
from harness.judge.robustness.seeds import scope_of, seeds_table, skipped_perturbations
from harness.judge.verdict.evidence import Evidence, Group

_READS_NONE = "reads no text"


@dataclass(frozen=True)
class Usage:
    """What the battery says: `used` of all that must be, or `unused` what is shown not to be, or what is `missing`."""

    used: str = ""
    unused: str = ""
    missing: str = ""


def battery() -> tuple[str, ...]:
    """Name the conditions that say whether image and text are used, as `--perturb` takes them."""
    return (IMAGE_EXCHANGED, *IMAGE_REMOVED, TEXT_EXCHANGED, *TEXT_REMOVED)


def usage(evidence: Evidence, head: Group) -> Usage:
    """Judge from the modality conditions of the model's own runs (class texts are exchanged where it reads no other).

    A model that reads no text, as captioners do, must use the image; its language is tested by C1 and C2 alone.
    """
    sweeps = evidence.robustness_of(head)
    newest = max(sweeps.values(), key=lambda sweep: sweep.created, default=None)
    if newest is None:
        return Usage(missing="the modality battery (wrong image, wrong text) was not run: --perturb standard")
    seeds = tuple(sweep for _, sweep in sorted(sweeps.items()) if scope_of(sweep) == scope_of(newest))
    found = modality_use(seeds_table(seeds), skipped_perturbations(seeds), {}, newest.metric)
    parts = {"image": found.image}
    if not (found.text.verdict == NO and _READS_NONE in found.text.reason):
        parts["text"] = found.text
    unused = [name for name, use in parts.items() if use.verdict == NO]
    if unused:
        return Usage(unused=f"{' and '.join(unused)} not used: {parts[unused[0]].reason}")
    unknown = [name for name, use in parts.items() if use.verdict != YES]
    if unknown:
        return Usage(missing=f"whether the {' and the '.join(unknown)} is used is undecided: {_why(parts[unknown[0]])}")
    return Usage(used=f"uses {' and '.join(parts)} ({len(seeds)} of {len(head.by_seed)} seeds in the battery)")


def _why(use: Use) -> str:
    return use.perceptual.score.reason or use.reason
