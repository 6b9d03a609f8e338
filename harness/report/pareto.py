"""Which models are worth their cost: the Pareto front of a score with an interval against a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.record import Estimate
from harness.seeds import without_interval


@dataclass(frozen=True)
class Point:
    """A model's score and what it costs, in any unit of which less is better."""

    key: str
    score: Estimate
    cost: float


def difference(a: Estimate, b: Estimate) -> Estimate:
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


def front(points: Sequence[Point]) -> set[str]:
    """Name the points that no other one dominates.

    A point is dominated only by one that costs no more and scores more by an interval of the difference that
    excludes 0: of two that cannot be told apart neither dominates, whatever they cost.
    """
    return {point.key for point in points if not any(_dominates(other, point) for other in points)}


def _dominates(a: Point, b: Point) -> bool:
    low = difference(a.score, b.score).low
    return a.cost <= b.cost and low is not None and low > 0
