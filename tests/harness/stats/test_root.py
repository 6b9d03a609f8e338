"""Roots are those of SciPy's brentq, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from harness.stats.root import root_between

FUNCTIONS: tuple[Callable[[float, float], float], ...] = (
    lambda x, c: x**3 - c,
    lambda x, c: math.exp(x) - 1 - c,
    lambda x, c: math.tanh(5 * (x - c)),
    lambda x, c: math.copysign(abs(x - c) ** 0.2, x - c),
    lambda x, c: x - c,
    lambda x, c: 1.0 if x > c else -1.0,
)


@pytest.mark.parametrize("place", range(len(FUNCTIONS)))
def test_the_root_is_that_of_scipy(place: int) -> None:
    random = np.random.default_rng(place)
    for _ in range(200):
        c = float(random.uniform(0.01, 2))
        low, high = -float(random.uniform(0.1, 9)), 3 + float(random.uniform(0, 9))
        tolerance = float(random.choice([1e-12, 1e-6]))
        found = root_between(lambda x: FUNCTIONS[place](x, c), low, high, tolerance)  # noqa: B023
        assert found == brentq(lambda x: FUNCTIONS[place](x, c), low, high, xtol=tolerance)  # noqa: B023


def test_a_root_at_an_end_and_none_between() -> None:
    assert root_between(lambda x: x - 1, 1.0, 2.0, 1e-9) == 1.0
    assert root_between(lambda x: x - 2, 1.0, 2.0, 1e-9) == 2.0
    with pytest.raises(ValueError, match=r"one sign at 1.0 and at 2.0"):
        root_between(lambda x: x, 1.0, 2.0, 1e-9)
