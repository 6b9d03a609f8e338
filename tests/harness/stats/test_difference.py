"""The one difference: against scipy, statsmodels and values worked by hand, and how often its interval holds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Estimate
from harness.stats.difference import (
    NOTHING_VARIES,
    difference_of_estimates,
    paired_difference,
    unpaired_difference,
    weighted_difference,
)

ROUNDS = 1000


def single(values: np.ndarray, clusters: list[str] | None = None):
    """The mean of values [S, N] as a weighted sum of one score."""
    return weighted_difference((1.0,), (values,), clusters or range(values.shape[1]))


def grain(columns: np.ndarray) -> float:
    """The part of the samples' variance that stands for one more cluster each way."""
    size = float((columns**2).sum() / np.abs(columns).sum())
    return 2 * (size / len(columns)) ** 2


def test_two_seeds_and_three_samples_by_hand() -> None:
    # Seeds' means 3 and 5, samples' means 2, 3, 7, mean 4; no rest. One sample more differs by (4 + 9 + 49) / 12.
    found = single(np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]))
    of_samples = 7 / 3 + 2 * (62 / 12 / 3) ** 2  # the variance of (2, 3, 7) is 7
    assert found.value == pytest.approx(4)
    assert found.seed_error**2 == pytest.approx(2 / 2)  # the variance of (3, 5) is 2
    assert found.sample_error**2 == pytest.approx(of_samples)
    assert [freedom for _, freedom in found.parts] == [1, 2]
    assert (found.seeds, found.clusters, found.paired) == (2, 3, True)
    of_both = (12.7062 * 1, 4.30265 * math.sqrt(of_samples))  # t of 1 and of 2 degrees of freedom
    assert found.low == pytest.approx(4 - math.hypot(*of_both), rel=1e-5)


def test_one_seed_is_the_paired_t_test_of_scipy_with_two_pseudo_observations() -> None:
    source = np.random.default_rng(0)
    a, b = source.normal(0.3, 1, 400), source.normal(0, 1, 400)
    found, test = paired_difference(a[None], b[None], range(400)), scipy.stats.ttest_rel(a, b)
    assert found.value == pytest.approx(float(np.mean(a - b)))
    assert found.error**2 == pytest.approx(scipy.stats.sem(a - b) ** 2 + grain(a - b))
    assert found.parts[-1][1] == test.df == 399
    assert found.p == pytest.approx(test.pvalue, rel=0.2)
    assert found.interval == pytest.approx(test.confidence_interval(0.95), abs=0.002)


def test_variances_of_seeds_and_samples_are_the_mean_squares_of_statsmodels() -> None:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    source = np.random.default_rng(1)
    values = 0.2 * source.normal(size=(4, 1)) + 0.4 * source.normal(size=(1, 9)) + 0.3 * source.normal(size=(4, 9))
    table = pd.DataFrame(
        {"d": values.ravel(), "seed": np.repeat(range(4), 9).astype(str), "item": np.tile(range(9), 4).astype(str)}
    )
    of = sm.stats.anova_lm(smf.ols("d ~ C(seed) + C(item)", table).fit())["mean_sq"]
    found = single(values)
    assert found.seed_error**2 == pytest.approx(of["C(seed)"] / 36)
    assert found.sample_error**2 == pytest.approx((of["C(item)"] - of["Residual"]) / 36 + grain(values.mean(axis=0)))


def test_clusters_of_unequal_size_have_the_cluster_robust_error_of_statsmodels() -> None:
    import statsmodels.api as sm

    source = np.random.default_rng(2)
    clusters = np.repeat(np.arange(30), source.integers(1, 6, 30))
    values = source.normal(size=30)[clusters] + 0.5 * source.normal(size=len(clusters))
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    found = single(values[None], clusters.tolist())
    columns = found.value + np.bincount(clusters, values - values.mean()) * 30 / len(values)
    assert found.value == pytest.approx(float(values.mean()))
    assert found.sample_error**2 == pytest.approx(fit.bse[0] ** 2 + grain(columns))
    assert found.clusters == 30


def test_rest_counts_once() -> None:
    # Rows (1, -1) and (-1, 1): the means of seeds and of samples are all 0 and only the rest is left.
    found = single(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (found.value, found.seed_error) == (0.0, 0.0)


def test_models_with_seeds_of_their_own_add_their_variances_as_welch() -> None:
    a = np.array([[1.0, 2.0], [3.0, 4.0], [2.0, 3.0]])  # seeds' means 1.5, 3.5, 2.5
    b = np.array([[0.0, 0.0], [1.0, 1.0]])  # 0, 1
    found = weighted_difference((1.0, -1.0), (a, b), range(2), same_seeds=False)
    assert found.value == pytest.approx(2.5 - 0.5)
    assert found.seed_error**2 == pytest.approx(1 / 3 + 0.5 / 2)
    assert found.seeds == 2


FLIPS = [(6, 0), (10, 0), (20, 0), (15, 4), (40, 12)]


@pytest.mark.parametrize(
    ("worse", "better", "samples"),
    [(*flips, samples) for flips in FLIPS for samples in (48, 200, 2000) if sum(flips) <= samples],
)
def test_p_of_right_and_wrong_answers_is_near_mcnemars_exact_one(worse: int, better: int, samples: int) -> None:
    before = np.r_[np.ones(worse), np.zeros(samples - worse)]
    now = np.r_[np.zeros(worse), np.ones(better), np.zeros(samples - worse - better)]
    exact = scipy.stats.binomtest(worse, worse + better).pvalue
    found = paired_difference(before[None], now[None], range(samples)).p
    assert abs(math.log10(found) - math.log10(exact)) < 0.5 + 0.2 * abs(math.log10(exact))
    assert (found <= 0.05) == (exact <= 0.05)


def test_twenty_of_twenty_alike_are_no_proof() -> None:
    right = np.r_[np.ones(12), np.zeros(8)][None]
    same = paired_difference(right, right, range(20))
    assert same.alike
    assert same.p == 1
    assert same.sample_error == pytest.approx(math.sqrt(2) / 20)  # one more each way, by the range of 1
    apart = paired_difference(np.ones((1, 20)), np.zeros((1, 20)), range(20))
    assert (apart.value, apart.sample_error) == (1.0, pytest.approx(math.sqrt(2) / 20))


def test_where_nothing_varies_or_one_image_is_all_there_is_no_interval() -> None:
    nothing = paired_difference(np.ones((3, 30)), np.ones((3, 30)), range(30))
    assert (nothing.interval, nothing.p, nothing.note, nothing.told_apart) == (None, 1.0, NOTHING_VARIES, False)
    one = paired_difference(np.ones((2, 3)), np.zeros((2, 3)), ["image"] * 3)
    assert (one.interval, one.p, one.note, one.detectable) == (None, 1.0, "too few: 1 image", math.inf)


def test_samples_that_do_not_inform_a_metric_change_nothing() -> None:
    """A metric over 20 of 100 samples: contributions of the others are the metric itself."""
    sides = [np.r_[np.ones(right), np.zeros(20 - right)] for right in (10, 13)]
    whole = [np.r_[own.mean() + 5 * (own - own.mean()), np.full(80, own.mean())][None] for own in sides]
    found = paired_difference(*whole, range(100))
    alone = paired_difference(sides[0][None], sides[1][None], range(20))
    assert (found.value, found.error, found.p) == pytest.approx((alone.value, alone.error, alone.p))
    assert found.clusters == alone.clusters == 20


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(3, 40))
def test_p_and_intervals_agree(seed: int, seeds: int, samples: int) -> None:
    values = np.random.default_rng(seed).standard_normal((2, seeds, samples))
    found = paired_difference(values[0], values[1], range(samples))
    assert (found.p <= 0.05) == found.told_apart
    assert found.p_at_least(found.high) == pytest.approx(0.025)
    assert found.detectable > found.reach
    single_seed = paired_difference(values[0, :1], values[1, :1], range(samples))
    assert single_seed.p == pytest.approx(2 * scipy.stats.t.sf(abs(single_seed.value) / single_seed.error, samples - 1))


@given(st.integers(0, 10_000), st.floats(0.1, 50))
def test_the_unit_of_a_metric_and_the_order_of_samples_change_nothing(seed: int, unit: float) -> None:
    source = np.random.default_rng(seed)
    a, b, order = source.random((3, 20)), source.random((3, 20)), source.permutation(20)
    found = paired_difference(a, b, range(20))
    other = paired_difference(unit * b[:, order], unit * a[:, order], range(20))
    assert (other.value, other.error) == pytest.approx((-unit * found.value, unit * found.error))
    assert other.p == pytest.approx(found.p)


@pytest.mark.parametrize(
    ("seed_sd", "sample_sd", "rest_sd", "seeds", "samples"),
    [
        (0.02, 0.3, 0.5, 5, 200),
        (0.0, 0.3, 0.5, 5, 200),
        (0.02, 0.0, 0.5, 5, 200),
        (0.0, 0.0, 0.5, 5, 200),
        (0.05, 0.3, 0.3, 5, 200),
        (0.0, 0.6, 0.001, 5, 200),
        (0.02, 0.3, 0.5, 10, 200),
        (0.0, 0.3, 0.0, 1, 48),
    ],
)
def test_coverage_with_crossed_effects(
    seed_sd: float, sample_sd: float, rest_sd: float, seeds: int, samples: int
) -> None:
    source, held = np.random.default_rng(11), 0
    for _ in range(ROUNDS):
        of_seeds, of_samples = source.standard_normal((seeds, 1)), source.standard_normal((1, samples))
        rest = source.standard_normal((seeds, samples))
        found = single(0.05 + seed_sd * of_seeds + sample_sd * of_samples + rest_sd * rest)
        held += found.low <= 0.05 <= found.high
    assert 0.93 <= held / ROUNDS <= 0.97


@pytest.mark.parametrize(("seeds", "seed_sd"), [(2, 0.1), (3, 0.2), (5, 0.2)])
def test_small_p_are_as_rare_as_they_say(seeds: int, seed_sd: float) -> None:
    """Holm and Benjamini & Hochberg ask for these tails, where one t with Satterthwaite's freedom fails."""
    source, rounds = np.random.default_rng(seeds), 3000
    parts = (seed_sd * source.standard_normal((rounds, seeds, 1)), 0.3 * source.standard_normal((rounds, 1, 40)))
    draws = sum(parts) + 0.5 * source.standard_normal((rounds, seeds, 40))
    found = np.array([single(values).p for values in draws])
    assert (found <= 0.05).mean() <= 0.06
    assert (found <= 0.01).mean() <= 0.015
    assert (found <= 0.001).mean() <= 0.003


@pytest.mark.parametrize(("base", "samples", "seeds"), [(0.5, 200, 5), (0.9, 500, 5), (0.8, 100, 1)])
def test_coverage_for_right_and_wrong(base: float, samples: int, seeds: int) -> None:
    """Two models whose answers are right with a chance that depends on the sample and, a little, on the seed."""
    source, held = np.random.default_rng(5), 0
    for _ in range(ROUNDS):
        ease = source.beta(4 * base, 4 * (1 - base), size=(1, samples))
        chance = np.clip(ease + 0.02 * source.standard_normal((2, seeds, 1)) * (seeds > 1), 0, 1)
        right = (source.random((2, seeds, samples)) < chance).astype(float)
        found = paired_difference(right[0], right[1], range(samples))
        held += found.low <= 0 <= found.high
    assert 0.93 <= held / ROUNDS <= 0.975


def test_coverage_in_clusters() -> None:
    """Samples of one image share what is hard about it; as independent their interval would be too narrow."""
    source, together, apart = np.random.default_rng(3), 0, 0
    images = [f"image{n // 4}" for n in range(400)]
    for _ in range(300):
        shared = np.repeat(0.4 * source.standard_normal((1, 100)), 4, axis=1)
        values = 0.02 * source.standard_normal((5, 1)) + shared + 0.3 * source.standard_normal((5, 400))
        found, wrong = single(values, images), single(values)
        together += found.low <= 0 <= found.high
        apart += wrong.low <= 0 <= wrong.high
    assert 0.92 <= together / 300 <= 0.98
    assert apart / 300 < 0.85


def test_estimates_alone_are_put_together_by_hand() -> None:
    half = 1.959964
    a = [Estimate(v, v - 0.1 * half, v + 0.1 * half, 50) for v in (0.6, 0.7, 0.8)]
    b = [Estimate(v, v - 0.2 * half, v + 0.2 * half, 40) for v in (0.5, 0.5, 0.5)]
    found = difference_of_estimates((1.0, -1.0), (a, b))
    assert (found.value, found.seeds, found.clusters, found.paired) == (pytest.approx(0.2), 3, 40, False)
    assert found.seed_error**2 == pytest.approx(0.01 / 3)
    assert found.sample_error**2 == pytest.approx(0.01 + 0.04, rel=1e-5)
    t2 = 4.30265
    assert found.reach == pytest.approx(math.hypot(t2 * math.sqrt(0.01 / 3), half * math.sqrt(0.05)), rel=1e-5)
    one = difference_of_estimates((1.0, -1.0), (a[:1], b[:1]))
    assert one.reach == pytest.approx(half * math.sqrt(0.05), rel=1e-5)
    lost = difference_of_estimates((1.0, -1.0), ([Estimate(0.9, None, None, 1, "too few: 1 image")], b[:1]))
    assert (lost.interval, lost.note) == (None, "too few: 1 image")


def test_a_known_variance_of_samples_by_hand() -> None:
    found = unpaired_difference(np.array([0.1, 0.2, 0.3]), 0.0004, 100)
    assert (found.value, found.error**2) == (pytest.approx(0.2), pytest.approx(0.01 / 3 + 0.0004))


@pytest.mark.parametrize("scores", [np.zeros(3), np.array([[1.0, np.nan]]), np.zeros((0, 2)), np.zeros((1, 3))])
def test_refuses_what_it_cannot_use(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"NaN|wanted"):
        weighted_difference((1.0,), (scores,), range(2))
