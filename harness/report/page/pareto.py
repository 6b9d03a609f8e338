"""Which models are worth their cost: the Pareto front of a score with an interval against a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.record import Estimate
from harness.stats.seed_variance import without_interval


@dataclass(frozen=True)
class Point:
    """A model's score and what it costs, in any unit of which less is better."""

    key: str
    score: Estimate
    cost: float


def pareto_difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b with an interval made of the two intervals: MOVER (Zou & Donner 2008, doi 10.1002/sim.3095).

    It takes the two as independent. On shared samples they rise and fall together, so this interval is too wide
    rather than too narrow: what it tells apart, a paired test would tell apart too.
    """
    value, count = a.value - b.value, min(a.count, b.count)
    if a.interval is None or b.interval is None:
        return Estimate(value, None, None, count, without_interval([a, b]))
    (a_low, a_high), (b_low, b_high) = a.interval, b.interval
    low = value - math.hypot(a.value - a_low, b_high - b.value)
    high = value + math.hypot(a_high - a.value, b.value - b_low)
    return Estimate(value, low, high, count)


@dataclass(frozen=True)
class Front:
    """Who is on the front, and who is not but scores no less than its dominators as far as intervals can tell."""

    members: frozenset[str]
    within_noise: frozenset[str]


def front(points: Sequence[Point]) -> Front:
    """Find the Pareto front of the numbers as they stand: less cost, more score.

    A point is dominated, and so not on the front, where another costs no more and scores no less, and is better in one
    of the two. It is within noise where of every such other the interval of the difference in score holds 0.
    """
    above = {point.key: [other for other in points if _dominates(other, point)] for point in points}
    members = frozenset(key for key, dominators in above.items() if not dominators)
    near = {p.key for p in points if above[p.key] and all(_alike(other.score, p.score) for other in above[p.key])}
    return Front(members, frozenset(near))


def _dominates(a: Point, b: Point) -> bool:
    no_worse = a.cost <= b.cost and a.score.value >= b.score.value
    return no_worse and (a.cost < b.cost or a.score.value > b.score.value)


def _alike(a: Estimate, b: Estimate) -> bool:
    """Tell whether noise could explain the difference: also where an interval is absent, as nothing excludes it."""
    low = pareto_difference(a, b).low
    return low is None or low <= 0
