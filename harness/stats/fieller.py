"""Fieller's interval of a ratio (1954, JRSS B 16:175): ratios whose weighted difference is not told apart from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.stats.difference import Difference
from harness.stats.root import root_between

_WIDEST = 1e6
"""The interval is open where no ratio this far from the estimate is excluded."""
_TOLERANCE = 1e-9


def fieller(left: Callable[[float], Difference], value: float) -> tuple[float, float]:
    """Both ends of the interval around a ratio A / B; infinite where it is open: B may then be 0.

    `left(r)` is A - r B with its interval over seeds and samples, `value` the ratio at which that is 0. B is above 0.
    """
    return _end(lambda ratio: left(ratio).low, value, -1.0), _end(lambda ratio: -left(ratio).high, value, 1.0)


def _end(shown: Callable[[float], float], value: float, far: float) -> float:
    """Where `shown`, not above 0 at the estimate, is above 0 for the first time in steps that double."""
    near = value
    while shown(value + far) <= 0:
        near, far = value + far, 2 * far
        if abs(far) > _WIDEST:
            return math.copysign(math.inf, far)
    return root_between(shown, near, value + far, _TOLERANCE)
