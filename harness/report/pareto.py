"""Which models are worth their cost: the Pareto front of a score with an interval against a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.record import Estimate


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
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, low, high, min(a.count, b.count))


def front(points: Sequence[Point]) -> set[str]:
    """Name the points that no other one dominates.

    A point is dominated only by one that costs no more and scores more by an interval of the difference that
    excludes 0: of two that cannot be told apart neither dominates, whatever they cost.
    """
    return {point.key for point in points if not any(_dominates(other, point) for other in points)}


def _dominates(a: Point, b: Point) -> bool:
    return a.cost <= b.cost and difference(a.score, b.score).low > 0
