"""Whether a model uses the image, and the text: what it still scores when one of them is taken away or exchanged.

The perceptual score is clean minus the mean over permutations of one modality across the whole test set, as it is and
divided by clean (Gat & Schwing 2021, arXiv 2110.14375); at least five permutations. EMAP and interaction (Hessel & Lee
2020, arXiv 2010.06572) come from the run's own record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.judge.robustness.cells import ModelTable
from harness.record import Estimate
from harness.stats.propagation import Figure, absent, difference, missing, ratio

LEAST_PERMUTATIONS = 5
NEGLIGIBLE = 0.02
"""Of clean: a model that loses less, interval and all, does not use the modality."""
YES, NO, UNDECIDED = "yes", "no", "undecided"
IMAGE_REMOVED, IMAGE_EXCHANGED = ("blank-image", "noise-image"), "wrong-image"
TEXT_REMOVED, TEXT_EXCHANGED = ("empty-text", "shuffled-text", "random-text"), "wrong-text"


@dataclass(frozen=True)
class PerceptualScore:
    """The loss when one modality is exchanged: in the metric's unit and as a share of clean.

    `spread` is the standard deviation over permutations.
    """

    score: Figure
    normalised: Figure
    spread: float | None
    permutations: int


@dataclass(frozen=True)
class Use:
    """The use of one modality: perceptual score, loss under each removal, and a verdict with its reason.

    `verdict` is yes where an interval of a loss lies above 0, no where the upper ends of all losses are negligible or
    the model does not see the modality at all, else undecided.
    """

    perceptual: PerceptualScore
    removed: Mapping[str, Figure]
    verdict: str
    reason: str


@dataclass(frozen=True)
class ModalityUse:
    """The use of image and text, and of both together: the additive projection and what interaction adds to it."""

    image: Use
    text: Use
    emap: Figure
    interaction: Figure


def modality_use(
    table: ModelTable, skipped: Mapping[str, str], metrics: Mapping[str, Estimate | None], metric: str
) -> ModalityUse:
    """Judge both modalities; `skipped` are conditions that say nothing of this model, with the reason.

    `metrics` are those of the run's record, for EMAP.
    """
    return ModalityUse(
        image=_use(table, IMAGE_EXCHANGED, IMAGE_REMOVED, skipped),
        text=_use(table, TEXT_EXCHANGED, TEXT_REMOVED, skipped),
        emap=_stored(metrics, f"EMAP {metric}"),
        interaction=_stored(metrics, "interaction"),
    )


def perceptual_score(table: ModelTable, name: str) -> PerceptualScore:
    """Average the permutations of one exchange; no number from fewer than five."""
    severities = table.severities(name)
    if len(severities) < LEAST_PERMUTATIONS:
        found = table.over_severities(name) if severities else absent(f"{name} was not run")
        reason = found.reason or f"{len(severities)} permutations of {name}; wanted {LEAST_PERMUTATIONS} or more"
        return PerceptualScore(absent(reason), absent(reason), None, len(severities))
    permuted = table.over_severities(name)
    loss = difference(table.clean, permuted)
    return PerceptualScore(
        score=loss,
        normalised=_share_of_clean(table.clean, permuted),
        spread=None if missing([permuted]) else _deviation([table.at((name, s)).known for s in severities]),
        permutations=len(severities),
    )


def _use(table: ModelTable, exchanged: str, removals: tuple[str, ...], skipped: Mapping[str, str]) -> Use:
    perceptual = perceptual_score(table, exchanged)
    removed = {name: difference(table.clean, table.over_severities(name)) for name in removals}
    losses = [loss for loss in (perceptual.score, *removed.values()) if loss.value is not None]
    verdict, reason = _verdict(losses, table.clean)
    why = [skipped[name] for name in (exchanged, *removals) if name in skipped]
    if not losses and why:
        blind = any(word in why[0] for word in ("sees no image", "reads no text"))
        verdict, reason = (NO if blind else UNDECIDED), why[0]
    return Use(perceptual, removed, verdict, reason)


def _verdict(losses: list[Figure], clean: Figure) -> tuple[str, str]:
    known = [(loss.low, loss.high) for loss in losses if loss.low is not None and loss.high is not None]
    if not known:
        return UNDECIDED, "no condition that takes it away has been scored with an interval"
    if any(low > 0 for low, _ in known):
        return YES, "its loss lies above 0, interval and all"
    if clean.value is not None and all(high < NEGLIGIBLE * clean.value for _, high in known):
        return NO, f"all losses are below {NEGLIGIBLE:.0%} of clean, intervals and all"
    return UNDECIDED, "intervals of the losses hold both 0 and more than a negligible loss"


def _share_of_clean(clean: Figure, permuted: Figure) -> Figure:
    kept = ratio(permuted, clean)
    if kept.value is None:
        return kept
    low, high = (None if end is None else 1 - end for end in (kept.high, kept.low))
    return Figure(1 - kept.value, low, high)


def _deviation(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _stored(metrics: Mapping[str, Estimate | None], name: str) -> Figure:
    estimate = metrics.get(name)
    if estimate is None:
        return absent(f"the run has no {name}: it is for fused models that read a text beside each image")
    return Figure(estimate.value, estimate.low, estimate.high)
