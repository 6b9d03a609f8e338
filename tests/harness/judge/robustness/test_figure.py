from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Estimate
from harness.stats.propagation import Figure, absent, difference, mean_of, over_seeds, ratio
from harness.stats.seed_variance import combine_seeds


def test_mean_by_hand() -> None:
    mean = mean_of([Figure(0.2, 0.1, 0.4), Figure(0.6, 0.5, 0.6)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.4, 0.3, 0.5))


def test_difference_and_ratio_by_hand() -> None:
    a, b = Figure(0.6, 0.5, 0.8), Figure(0.8, 0.7, 0.9)
    lost = difference(b, a)
    assert (lost.value, lost.low, lost.high) == pytest.approx((0.2, 0.2 - 0.1 - 0.2, 0.2 + 0.1 + 0.1))
    kept = ratio(a, b)  # slopes 1 / .8 and -.6 / .64
    assert kept.value == pytest.approx(0.75)
    assert kept.low == pytest.approx(0.75 - 0.1 / 0.8 - 0.6 / 0.64 * 0.1)
    assert kept.high == pytest.approx(0.75 + 0.2 / 0.8 + 0.6 / 0.64 * 0.1)


@pytest.mark.parametrize("correlation", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_intervals_hold_for_any_correlation(correlation: float) -> None:
    rng = np.random.default_rng(3)
    covariance = 1e-4 * np.array([[1, correlation], [correlation, 1]])
    draws = rng.multivariate_normal([0.5, 0.8], covariance, size=20_000, method="svd")
    half = 1.96 * 0.01
    a, b = Figure(0.5, 0.5 - half, 0.5 + half), Figure(0.8, 0.8 - half, 0.8 + half)
    for figure, values in [
        (mean_of([a, b]), draws.mean(axis=1)),
        (difference(b, a), draws[:, 1] - draws[:, 0]),
        (ratio(a, b), draws[:, 0] / draws[:, 1]),
    ]:
        assert figure.low is not None and figure.high is not None
        assert np.mean((values > figure.low) & (values < figure.high)) > 0.945


def test_what_is_missing_has_a_reason_and_no_number() -> None:
    gone = absent("fog 3 failed: it broke")
    for figure in (mean_of([Figure(0.5), gone]), difference(gone, Figure(1.0)), ratio(Figure(1.0), gone)):
        assert (figure.value, figure.reason) == (None, "fog 3 failed: it broke")
    assert mean_of([]).value is None
    assert "not above 0" in str(ratio(Figure(0.1), Figure(0.0)).reason)
    with pytest.raises(ValueError, match="it broke"):
        _ = gone.known


def test_without_intervals_there_is_none() -> None:
    assert mean_of([Figure(0.5, 0.4, 0.6), Figure(0.7)]) == Figure(0.6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=6))
def test_seeds_are_combined_as_on_the_leaderboard(points: list[tuple[float, float]]) -> None:
    expected = combine_seeds([Estimate(value, value - half, value + half, 9) for value, half in points])
    found = over_seeds([Figure(value, value - half, value + half) for value, half in points])
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert math.isclose(over_seeds([Figure(value) for value, _ in points]).known, expected.value, abs_tol=1e-12)
