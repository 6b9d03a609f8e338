"""Student's t against scipy.stats, which is too slow to import for the command."""

from __future__ import annotations

import pytest
import scipy.stats

from harness.student import student_below, student_quantile


@pytest.mark.parametrize("freedom", [1, 4, 12.5, 300])
def test_quantiles_and_shares_are_those_of_scipy_stats(freedom: float) -> None:
    assert student_quantile(freedom, 0.975) == pytest.approx(scipy.stats.t.ppf(0.975, freedom))
    assert student_below(-1.3, freedom) == pytest.approx(scipy.stats.t.cdf(-1.3, freedom))
    assert student_below(student_quantile(freedom, 0.9), freedom) == pytest.approx(0.9)
