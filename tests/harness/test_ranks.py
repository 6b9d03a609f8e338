"""Rank intervals hold the true ranks of all models at once, and tell apart what can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from harness.ranks import Contender, rank_intervals
from harness.record import Estimate
from harness.sample_scores import SampleScores


def contender(*seeds: np.ndarray, clusters: list[str] | None = None, keep: bool = True) -> Contender:
    values = tuple(float(scores.mean()) for scores in seeds)
    ids = tuple(str(place) for place in range(len(seeds[0])))
    error = 1.96 * seeds[0].std() / np.sqrt(len(ids))
    mean = float(np.mean(values))
    stored = [SampleScores(ids, tuple(clusters or ids), {"m": scores}) for scores in seeds]
    return Contender(Estimate(mean, mean - error, mean + error, len(ids)), values, tuple(stored) if keep else (None,))


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
    wild = [contender(*(base + shift + 0.2 for shift in shifts)), contender(*(base + shift for shift in shifts))]
    assert bounds(wild) == [(1, 2), (1, 2)]
    calm = [contender(*(base + 0.01 * s + 0.2 for s in shifts)), contender(*(base + 0.01 * s for s in shifts))]
    assert bounds(calm) == [(1, 1), (2, 2)]


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
