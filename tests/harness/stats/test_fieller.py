"""Fieller's interval against its closed form, and how often it holds a true ratio."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.difference import Difference, weighted_difference
from harness.stats.fieller import fieller
from harness.stats.t_distribution import t_quantile


def interval(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """Of A and B [S, N]."""
    names = [str(n) for n in range(top.shape[1])]

    def left(ratio: float) -> Difference:
        return weighted_difference((1.0, -ratio), (top, bottom), names)

    return fieller(left, float(top.mean() / bottom.mean()))


def test_one_seed_is_the_closed_form() -> None:
    """Of one seed only samples vary: the roots of (a - r b)^2 = t^2 (s_aa - 2 r s_ab + r^2 s_bb)."""
    draw = np.random.default_rng(1)
    bottom = draw.normal(2.0, 0.5, (1, 400))
    top = 0.7 * bottom + draw.normal(0.3, 0.4, (1, 400))
    a, b, t = top.mean(), bottom.mean(), t_quantile(399, 0.975)
    (s_aa, s_ab), (_, s_bb) = np.cov(top[0], bottom[0]) / 400
    roots = np.roots([b**2 - t**2 * s_bb, -2 * (a * b - t**2 * s_ab), a**2 - t**2 * s_aa])
    # the difference widens a little for discrete scores: see its docstring
    assert interval(top, bottom) == pytest.approx(sorted(roots), rel=2e-3)


def test_it_is_open_where_the_denominator_may_be_0() -> None:
    draw = np.random.default_rng(2)
    low, high = interval(draw.normal(1.0, 1.0, (5, 50)), draw.normal(0.02, 1.0, (5, 50)))
    assert (low, high) == (-np.inf, np.inf) or not np.isfinite([low, high]).all()


def test_it_holds_the_true_ratio() -> None:
    draw, held = np.random.default_rng(3), 0
    for _ in range(200):
        of_samples, of_seeds = draw.normal(0, 0.3, 80), draw.normal(0, 0.05, (2, 5, 1))
        top, bottom = (
            level + of_samples + own + draw.normal(0, 0.2, (5, 80))
            for level, own in zip((0.5, 0.8), of_seeds, strict=True)
        )
        low, high = interval(top, bottom)
        held += low <= 0.5 / 0.8 <= high
    assert held / 200 >= 0.93
