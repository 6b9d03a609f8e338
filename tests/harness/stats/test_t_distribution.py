"""Student's t against scipy.stats, which is too slow to import for the command."""

from __future__ import annotations

import pytest
import scipy.stats

from harness.stats.t_distribution import t_cdf, t_quantile


@pytest.mark.parametrize("freedom", [1, 4, 12.5, 300])
def test_quantiles_and_shares_are_those_of_scipy_stats(freedom: float) -> None:
    assert t_quantile(freedom, 0.975) == pytest.approx(scipy.stats.t.ppf(0.975, freedom))
    assert t_cdf(-1.3, freedom) == pytest.approx(scipy.stats.t.cdf(-1.3, freedom))
    assert t_cdf(t_quantile(freedom, 0.9), freedom) == pytest.approx(0.9)
