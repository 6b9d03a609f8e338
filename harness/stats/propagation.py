"""A number with its interval, or the reason why there is none; and how intervals pass through sums and ratios.

All conditions of a model are scored on the same samples, so their errors are correlated, and stored estimates do not
say how much. Intervals here hold for any correlation: the reach of f(a, b, ...) is the sum of |df/da| * reach(a), ...,
to first order (the standard deviation of a sum is at most the sum of the standard deviations). They are too wide
rather than too narrow; `harness.judge.robustness.paired` gives narrower ones where per-sample scores are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.record import Estimate
from harness.stats.seed_variance import combine_seeds


@dataclass(frozen=True)
class Figure:
    """A number in the unit of its metric, its 95 % interval where one is known; or a reason and no number."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def known(self) -> float:
        """The number; raises ValueError where there is none."""
        if self.value is None:
            raise ValueError(f"no number: {self.reason}")
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types: value, low, high, reason."""
        return asdict(self)


def absent(reason: str) -> Figure:
    """Make the figure of a number that there is not."""
    return Figure(None, reason=reason)


def figure_of(estimate: Estimate) -> Figure:
    """Take over an estimate."""
    return Figure(estimate.value, estimate.low, estimate.high)


def missing(figures: Sequence[Figure]) -> Figure | None:
    """Return the first figure without a number, with its reason; None where all have one."""
    return next((figure for figure in figures if figure.value is None), None)


def propagate(value: float, terms: Sequence[tuple[float, Figure]]) -> Figure:
    """Put an interval around a function's value from (slope, argument) pairs, whatever their correlation."""
    low = high = 0.0
    for slope, figure in terms:
        if figure.low is None or figure.high is None:
            return Figure(value)
        below, above = figure.known - figure.low, figure.high - figure.known
        low += slope * below if slope >= 0 else -slope * above
        high += slope * above if slope >= 0 else -slope * below
    return Figure(value, value - low, value + high)


def mean_of(figures: Sequence[Figure]) -> Figure:
    """Average; the reach of the interval is the mean of the reaches. No number where any is missing."""
    if not figures:
        return absent("nothing to average")
    gap = missing(figures)
    if gap is not None:
        return gap
    share = 1 / len(figures)
    return propagate(sum(f.known for f in figures) * share, [(share, figure) for figure in figures])


def difference(first: Figure, second: Figure) -> Figure:
    """Subtract the second from the first."""
    gap = missing([first, second])
    if gap is not None:
        return gap
    return propagate(first.known - second.known, [(1.0, first), (-1.0, second)])


def ratio(first: Figure, second: Figure, offset: float = 0.0) -> Figure:
    """Divide (first - offset) by (second - offset); no number where the denominator is not above 0."""
    gap = missing([first, second])
    if gap is not None:
        return gap
    above, below = first.known - offset, second.known - offset
    if below <= 0:
        return absent(f"the denominator is {below:.3g}, not above 0")
    return propagate(above / below, [(1 / below, first), (-above / below**2, second)])


def over_seeds(figures: Sequence[Figure]) -> Figure:
    """Average one number over training seeds, as the leaderboard does; no number where one seed has none."""
    if not figures:
        return absent("no seed")
    gap = missing(figures)
    if gap is not None:
        return gap
    return figure_of(combine_seeds([Estimate(figure.known, figure.low, figure.high, 0) for figure in figures]))
