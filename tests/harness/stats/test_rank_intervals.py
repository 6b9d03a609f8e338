"""Rank intervals hold the true ranks of all models at once, and tell apart what can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from harness.record import Estimate
from harness.stats.rank_intervals import Contender, rank_intervals
from harness.stats.sample_scores import SampleScores
from tests.benchmarks.simulated_populations import seeded_answers


def contender(
    *seeds: np.ndarray, clusters: list[str] | None = None, keep: bool = True, first_seed: int = 0
) -> Contender:
    ids = tuple(str(place) for place in range(len(seeds[0])))
    estimates = []
    for scores in seeds:
        mean, reach = float(scores.mean()), 1.96 * float(scores.std()) / np.sqrt(len(ids))
        estimates.append(Estimate(mean, mean - reach, mean + reach, len(ids)))
    stored = [SampleScores(ids, tuple(clusters or ids), {"m": scores}) for scores in seeds]
    scores = tuple(stored) if keep else tuple(None for _ in seeds)
    return Contender(tuple(estimates), scores, tuple(range(first_seed, first_seed + len(seeds))))


def bounds(contenders: list[Contender]) -> list[tuple[int, int]]:
    return [(rank.best, rank.worst) for rank in rank_intervals(contenders, "m")]


def test_models_that_differ_on_every_sample_have_one_rank_each_and_equal_ones_share():
    random = np.random.default_rng(0)
    base = random.normal(size=200)
    contenders = [contender(base), contender(base - 1 + 0.1 * random.normal(size=200)), contender(base.copy())]
    assert bounds(contenders) == [(1, 2), (3, 3), (1, 2)]


def test_pairing_tells_apart_what_intervals_cannot():
    random = np.random.default_rng(1)
    base = random.normal(size=300)
    better, worse = base, base - 0.05 + 0.1 * random.normal(size=300)
    assert bounds([contender(better), contender(worse)]) == [(1, 1), (2, 2)]
    lost = [contender(better), contender(worse, keep=False)]
    assert [(r.best, r.worst, r.paired) for r in rank_intervals(lost, "m")] == [(1, 2, False), (1, 2, False)]


def test_samples_of_one_cluster_are_no_independent_evidence():
    random = np.random.default_rng(2)
    of_image = 0.15 + random.normal(size=20)
    difference = np.repeat(of_image, 50)
    other = random.normal(size=1000)
    clusters = [str(place // 50) for place in range(1000)]
    assert bounds([contender(other + difference), contender(other)]) == [(1, 1), (2, 2)]
    by_image = [contender(other + difference, clusters=clusters), contender(other, clusters=clusters)]
    assert bounds(by_image) == [(1, 2), (1, 2)]


def test_seeds_that_disagree_widen_the_ranks():
    random = np.random.default_rng(3)
    base = random.normal(size=400)
    shifts = np.array([-0.5, 0.0, 0.5])
    one, other = [base + shift + 0.2 for shift in shifts], [base + shift for shift in shifts]
    assert bounds([contender(*one, first_seed=3), contender(*other)]) == [(1, 2), (1, 2)]
    assert bounds([contender(*one[::-1]), contender(*other)]) == [(1, 2), (1, 2)]
    assert bounds([contender(*one), contender(*other)]) == [(1, 1), (2, 2)], "seeds that are the same are paired"
    calm = [contender(*(base + 0.01 * s + 0.2 for s in shifts)), contender(*(base + 0.01 * s for s in shifts[::-1]))]
    assert bounds(calm) == [(1, 1), (2, 2)]


def test_few_samples_that_all_agree_prove_nothing():
    right, wrong = np.ones(5), np.zeros(5)  # one chance in 16 were the two alike
    assert bounds([contender(right), contender(wrong)]) == [(1, 2), (1, 2)]
    assert bounds([contender(np.ones(40)), contender(np.zeros(40))]) == [(1, 1), (2, 2)]


def test_what_seeds_and_samples_do_together_counts_once():
    """Seeds of a model that differ by chance on each sample alone: their variance is that chance already."""
    random = np.random.default_rng(6)
    shared = random.normal(size=300)
    rows = [[shared + gap + random.normal(size=300) for _ in range(5)] for gap in (0.0, 0.2)]
    assert bounds([contender(*seeds) for seeds in rows]) == [(2, 2), (1, 1)]


@pytest.mark.parametrize("seeds", [3, 5])
def test_models_alike_whose_seeds_differ_are_seldom_told_apart(seeds):
    random = np.random.default_rng(seeds)
    false = 0
    for _ in range(150):
        right, _ = seeded_answers(random, np.zeros(6), 60, seeds, 0.8)
        found = bounds([contender(*own.astype(float)) for own in right])
        false += any(rank != (1, 6) for rank in found)
    assert false <= 15  # of 150 at 5 %: 15 or fewer in 996 of 1,000 such tests


def test_without_stored_scores_few_seeds_take_a_further_quantile():
    def lost(*values: float) -> Contender:
        seeds = tuple(Estimate(value, value - 0.001, value + 0.001, 10**6) for value in values)
        return Contender(seeds, tuple(None for _ in seeds), tuple(range(len(seeds))))

    low, high = lost(0.49, 0.50, 0.51), lost(0.56, 0.54, 0.54)
    assert bounds([low, high]) == [(1, 2), (1, 2)]  # differences .07, .04, .03: 3.9 errors; t(2) needs 4.3
    low, high = lost(0.49, 0.50, 0.51), lost(0.56, 0.56, 0.55)
    assert bounds([low, high]) == [(2, 2), (1, 1)]  # .07, .06, .04: 6.4 errors
    rows = [low, high, *(lost(0.1 * n - 0.01, 0.1 * n, 0.1 * n + 0.01) for n in range(8, 12))]
    assert bounds(rows)[:2] == [(5, 6), (5, 6)]  # 15 pairs: t(2) needs 17.3


def test_of_one_model_and_of_none():
    assert bounds([contender(np.arange(5.0))]) == [(1, 1)]
    assert bounds([]) == []


@pytest.mark.parametrize("gap", [0.0, 0.15])
def test_all_true_ranks_lie_within_in_at_least_19_of_20_tables(gap):
    random = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        shared = random.normal(size=150)
        rows = [contender(shared + 0.8 * random.normal(size=150) - gap * place) for place in range(5)]
        true = [1] * 5 if gap == 0 else range(1, 6)
        ranks = rank_intervals(rows, "m")
        # equal models may have any rank: right only where nobody is told apart
        right = [
            (r.best == 1 and r.worst == 5) if gap == 0 else r.best <= t <= r.worst
            for r, t in zip(ranks, true, strict=True)
        ]
        held += all(right)
    assert held >= 184  # of 200 with p = .95: 184 or more in 97 of 100 such tests
