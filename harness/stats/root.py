"""A root between two ends by the method of Brent 1973, Algorithms for Minimization without Derivatives, chapter 4.

Step by step as SciPy's `brentq` does it, whose import takes half a second: the same function gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_MOST_STEPS = 100
_RELATIVE = 4 * math.ulp(1.0)


def root_between(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Find where a continuous function is 0; raises ValueError unless it has different signs at the two ends."""
    before, now = low, high
    at_before, at_now = function(before), function(now)
    if at_before == 0 or at_now == 0:
        return before if at_before == 0 else now
    if (at_before < 0) == (at_now < 0):
        raise ValueError(f"the function has one sign at {low} and at {high}: {at_before}, {at_now}")
    other = at_other = former_step = step = 0.0
    for _ in range(_MOST_STEPS):
        if at_before != 0 and at_now != 0 and (at_before < 0) != (at_now < 0):
            other, at_other = before, at_before
            former_step = step = now - before
        if abs(at_other) < abs(at_now):
            before, now, other = now, other, now
            at_before, at_now, at_other = at_now, at_other, at_now
        near, half = (tolerance + _RELATIVE * abs(now)) / 2, (other - now) / 2
        if at_now == 0 or abs(half) < near:
            return now
        tried = math.inf
        if abs(former_step) > near and abs(at_now) < abs(at_before):
            if before == other:  # a secant
                tried = -at_now * (now - before) / (at_now - at_before)
            else:  # through three points
                one, two = (at_before - at_now) / (before - now), (at_other - at_now) / (other - now)
                tried = -at_now * (at_other * two - at_before * one) / (two * one * (at_other - at_before))
        if 2 * abs(tried) < min(abs(former_step), 3 * abs(half) - near):
            former_step, step = step, tried
        else:
            former_step = step = half
        before, at_before = now, at_now
        now += step if abs(step) > near else math.copysign(near, half)
        at_now = function(now)
    raise ValueError(f"no root between {low} and {high} in {_MOST_STEPS} steps")
