from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import linregress, t

from harness.judge.robustness.effective_robustness import LogitFit, effective_robustness, fit_baseline
from harness.stats.propagation import Figure, absent

Points = list[tuple[str, Figure, Figure]]


def points(clean: list[float], shift: list[float]) -> Points:
    return [(f"m{n}", Figure(c), Figure(s)) for n, (c, s) in enumerate(zip(clean, shift, strict=True))]


CLEAN = [0.3, 0.4, 0.5, 0.6, 0.7]
ON_LINE = [float(expit(-0.5 + 1.2 * logit(c))) for c in CLEAN]


def fitted(clean: list[float], shift: list[float]) -> LogitFit:
    fit = fit_baseline(points(clean, shift))
    assert isinstance(fit, LogitFit)
    return fit


def test_a_line_is_found_again_and_distance_to_it_is_the_number() -> None:
    fit = fitted(CLEAN, ON_LINE)
    assert (fit.slope, fit.intercept, fit.r_squared) == pytest.approx((1.2, -0.5, 1.0))
    assert (fit.low, fit.high, len(fit.models)) == (0.3, 0.7, 5)
    found = effective_robustness(fit, Figure(0.55, 0.53, 0.57), Figure(0.5, 0.48, 0.52))
    expected = float(expit(-0.5 + 1.2 * logit(0.55)))
    assert found.figure.value == pytest.approx(0.5 - expected)
    slope = 1.2 * expected * (1 - expected) / (0.55 * 0.45)
    assert found.figure.low == pytest.approx(0.5 - expected - 0.02 - slope * 0.02)
    assert found.fit is fit


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_equals_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = np.sort(rng.uniform(0.2, 0.8, 8))
    shift = expit(-0.3 + 0.9 * logit(clean) + rng.normal(0, 0.1, 8))
    fit = fitted(clean.tolist(), shift.tolist())
    peer = linregress(logit(clean), logit(shift))
    assert (fit.slope, fit.intercept, fit.r_squared) == pytest.approx((peer.slope, peer.intercept, peer.rvalue**2))
    # The standard error of the mean prediction at 0, that is at a clean score of one half, is that of the intercept.
    assert fit.reach(0.5) == pytest.approx(
        t.ppf(0.975, 6) * peer.intercept_stderr * expit(peer.intercept) * expit(-peer.intercept)
    )


def test_the_fit_s_own_error_widens_the_interval() -> None:
    shift = [s + d for s, d in zip(ON_LINE, (0.01, -0.01, 0.01, -0.01, 0.01), strict=True)]
    exact, noisy = fitted(CLEAN, ON_LINE), fitted(CLEAN, shift)
    scores = Figure(0.5, 0.48, 0.52), Figure(0.4, 0.38, 0.42)
    widths = [
        (found.figure.high or 0) - (found.figure.low or 0)
        for found in (effective_robustness(fit, *scores) for fit in (exact, noisy))
    ]
    assert widths[1] > widths[0] > 0


@pytest.mark.parametrize(
    ("given_points", "words"),
    [
        (points(CLEAN[:4], ON_LINE[:4]), "4 un-fused models"),
        ([*points(CLEAN[:4], ON_LINE[:4]), ("zero", Figure(0.5), Figure(0.0))], "4 un-fused models"),
        ([*points(CLEAN[:4], ON_LINE[:4]), ("gone", Figure(0.5), absent("failed"))], "4 un-fused models"),
        (points([0.5] * 5, ON_LINE), "the same score"),
        (points(CLEAN, [0.5] * 5), "the same score"),
        ([], "0 un-fused models"),
    ],
)
def test_no_line(given_points: Points, words: str) -> None:
    fit = fit_baseline(given_points)
    assert isinstance(fit, str) and words in fit
    found = effective_robustness(fit, Figure(0.5), Figure(0.5))
    assert (found.figure.value, found.figure.reason, found.fit) == (None, fit, None)


def test_scores_without_a_logit_are_left_out_by_name() -> None:
    fit = fit_baseline([*points(CLEAN, ON_LINE), ("blind", Figure(0.5), Figure(0.0))])
    assert isinstance(fit, LogitFit) and fit.left_out == ("blind",)


def test_refusals() -> None:
    fit = fitted(CLEAN, ON_LINE)
    for clean in (0.29, 0.71):
        assert "outside the fitted range" in str(effective_robustness(fit, Figure(clean), Figure(0.3)).figure.reason)
    assert effective_robustness(fit, Figure(0.3), Figure(0.3)).figure.value is not None
    assert effective_robustness(fit, Figure(0.5), absent("it broke")).figure.reason == "it broke"
    loose = fitted(CLEAN, [0.4, 0.2, 0.5, 0.3, 0.6])
    found = effective_robustness(loose, Figure(0.5), Figure(0.5))
    assert "R^2" in str(found.figure.reason) and found.fit is loose
