"""Means over perturbed cells: mPC, rPC, what is retained above chance. Everything that averages stands here."""

from __future__ import annotations

from collections.abc import Sequence

from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import Estimate
from harness.stats.seed_variance import without_interval

SEVERITIES = (1, 2, 3, 4, 5)
_SMALLEST_DENOMINATOR = 0.01


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Average scores of the same samples under several conditions; raises ValueError for none.

    The interval is the mean of theirs, which is that of conditions that err alike: the widest there can be.
    """
    if not estimates:
        raise ValueError("the mean of no scores")
    count, samples = len(estimates), min(e.count for e in estimates)
    mean = sum(e.value for e in estimates) / count
    ends = [e.interval for e in estimates if e.interval is not None]
    if len(ends) < count:
        return Estimate(mean, None, None, samples, without_interval(estimates))
    return Estimate(mean, sum(low for low, _ in ends) / count, sum(high for _, high in ends) / count, samples)


def retained(value: float, clean: float, chance: float = 0.0) -> float | None:
    """What share of the clean score is left, both above chance; None where clean is hardly above chance.

    With chance 0 and the mean over all corruptions this is rPC (Michaelis et al. 2019, arXiv 1907.07484); one minus it
    is MMI (Qiu et al. 2024, arXiv 2212.08044).

    >>> round(retained(18.2, 36.3), 3)
    0.501
    """
    above = clean - chance
    return None if above <= _SMALLEST_DENOMINATOR else (value - chance) / above


def is_complete_grid(cells: set[tuple[str, int]]) -> bool:
    """Tell whether cells are the 15 corruptions at 5 severities, whose mean alone is called mPC."""
    return {(name, severity) for name in STANDARD_CORRUPTIONS for severity in SEVERITIES} <= cells
