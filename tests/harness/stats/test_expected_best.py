"""The expected best of k trials, by hand, by all draws, and by drawing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.expected_best import expected_best

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5)


def test_by_hand() -> None:
    """Of 1, 2, 3 two are drawn: the best is 1 once, 2 three times and 3 five times in nine."""
    assert expected_best([2, 3, 1], 2) == pytest.approx((1 + 2 * 3 + 3 * 5) / 9)


@given(SCORES, st.integers(1, 4))
def test_it_is_the_mean_over_all_draws(scores: list[float], k: int) -> None:
    draws = [max(drawn) for drawn in product(scores, repeat=k)]
    assert expected_best(scores, k) == pytest.approx(float(np.mean(draws)), rel=1e-9, abs=1e-9)


@given(SCORES)
def test_one_is_the_mean_and_many_are_the_best(scores: list[float]) -> None:
    assert expected_best(scores, 1) == pytest.approx(float(np.mean(scores)), abs=1e-9)
    assert expected_best(scores, 10_000) == pytest.approx(max(scores), abs=1e-6)


def test_nothing_to_expect_from_is_refused() -> None:
    for scores, k in (([], 1), ([0.5], 0)):
        with pytest.raises(ValueError, match="wanted at least one of each"):
            expected_best(scores, k)
