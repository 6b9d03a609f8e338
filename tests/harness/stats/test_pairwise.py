"""Differences of all pairs of a table, and the alpha of all of them, are those of one pair at a time."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from harness.record import Estimate
from harness.stats.difference import ALPHA, Difference, difference_of_estimates, weighted_difference
from harness.stats.pairwise import EstimatedModels, PairRow, SampledModels
from harness.stats.rank_limit import alpha_of_all_pairs
from harness.stats.significance import cluster_sums
from harness.stats.t_distribution import t_quantile

_PAIR = (1.0, -1.0)


def tables(seed: int, same_seeds: bool) -> SampledModels:
    """Models of which some are equal, differ by a constant, or do not vary; samples of which some tell nothing."""
    random = np.random.default_rng(seed)
    count = int(random.choice([12, 60]))
    shared = random.normal(size=count)
    values, numbers = [], []
    for place in range(10):
        seeds = 3 if same_seeds else int(random.integers(1, 5))
        own = (
            shared + 0.2 * place + random.normal(size=(seeds, count)) * random.choice([0, 0.3]) + 0.1 * np.eye(seeds, 1)
        )
        own[:, :: int(random.integers(2, 5))] = 0.5
        own = {
            6: values[0].copy() if values else own,
            7: np.ones_like(own),
            8: np.round(own),
            9: np.ones_like(own),
        }.get(place, own)
        values.append(own)
        numbers.append(tuple(range(len(own))) if same_seeds or place % 3 else tuple(range(7, 7 + len(own))))
    clusters = [str(sample // (1 + seed % 3)) for sample in range(count)]
    return SampledModels(values, numbers, clusters)


def difference(row: PairRow, place: int) -> Difference:
    parts = [(float(error[place]), float(freedom[place])) for error, freedom in row.seeds]
    parts.append((float(row.sample_error[place]), float(row.sample_freedom[place])))
    return Difference(float(row.value[place]), tuple(parts), 1, 1, True, note=None if row.decidable[place] else "none")


def assert_equal(rows: list[PairRow], wanted: list[Difference]) -> None:
    found = [difference(row, place) for row in rows for place in range(len(row.value))]
    assert len(found) == len(wanted)
    for ours, other in zip(found, wanted, strict=True):
        assert (ours.note is None) == (other.note is None)
        if other.note is None:
            assert ours.value == pytest.approx(other.value, abs=1e-12)
            assert ours.reach == pytest.approx(other.reach, rel=1e-9, abs=1e-9)
    signs = [sign for row in rows for sign in row.told_apart(0.01)]
    assert signs == [np.sign(other.value) if other.p <= 0.01 else 0 for other in wanted]


@pytest.mark.parametrize("same_seeds", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_pairs_of_sampled_models_differ_as_one_pair_does(seed: int, same_seeds: bool) -> None:
    models = tables(seed, same_seeds)
    wanted = [
        weighted_difference(
            _PAIR,
            (models.values[a], models.values[b]),
            models.clusters,
            same_seeds=models.numbers[a] == models.numbers[b],
        )
        for a, b in combinations(range(len(models.values)), 2)
    ]
    assert_equal(list(models.rows()), wanted)
    assert any(found.note for found in wanted)


def test_pairs_of_estimates_differ_as_one_pair_does() -> None:
    random = np.random.default_rng(0)
    seeds = []
    for place in range(8):
        values = random.normal(place * 0.2, 0.1, size=(1, 3, 3, 2)[place % 4])
        reach = None if place == 5 else 0.1 * random.random()
        ends = [(None, None) if reach is None else (value - reach, value + reach) for value in values]
        seeds.append([Estimate(float(v), low, high, 100) for v, (low, high) in zip(values, ends, strict=True)])
    numbers = [tuple(range(place % 2, place % 2 + len(own))) for place, own in enumerate(seeds)]
    wanted = [
        difference_of_estimates(_PAIR, (seeds[a], seeds[b]), same_seeds=numbers[a] == numbers[b])
        for a, b in combinations(range(len(seeds)), 2)
    ]
    assert_equal(list(EstimatedModels(seeds, numbers).rows()), wanted)


def one_by_one(models: SampledModels, found: list[Difference], seed: int) -> float:
    """The alpha by looking at every pair in every draw at every step, as the method is defined."""
    generator = np.random.Generator(np.random.PCG64(seed))
    draws, pairs = 2000, list(combinations(range(len(models.values)), 2))
    means = np.stack([own.mean(axis=0) for own in models.values], axis=1)
    sums = cluster_sums(means - means.mean(axis=0), models.clusters)
    signs = 2.0 * generator.integers(0, 2, size=(draws, len(sums)), dtype=np.int8) - 1.0
    seeds = [generator.standard_normal((draws, len(own))) for own in models.values]
    variance = generator.chisquare(len(sums) - 1, draws) / (len(sums) - 1)
    of_clusters = signs @ sums
    tests: list[tuple[Any, list[Any]]] = []
    for (a, b), difference in zip(pairs, found, strict=True):
        spread = float(np.linalg.norm(sums[:, a] - sums[:, b]))
        apart = np.zeros(draws)
        if spread > 1e-9 * float(np.linalg.norm(sums, axis=0).max()):
            apart += difference.sample_error / spread * (of_clusters[:, a] - of_clusters[:, b])
        parts = [(difference.sample_error**2 * variance, difference.parts[-1][1])]
        terms = [(seeds[own], models.values[own].mean(axis=1).std(ddof=1) / math.sqrt(len(models.values[own])))
                 for own in (a, b) if len(models.values[own]) > 1]  # fmt: skip
        if models.numbers[a] == models.numbers[b]:
            terms = [((seeds[a] - seeds[b]) / math.sqrt(2), difference.seed_error)] if difference.seed_error else []
        for deviations, error in terms:
            size = deviations.shape[1]
            apart += error * math.sqrt(size) * deviations.mean(axis=1)
            parts.append((error**2 * deviations.var(axis=1, ddof=1), size - 1))
        tests.append((np.square(apart), parts))
    low, high = ALPHA / len(pairs), ALPHA
    while high / low > 1.02:
        middle = math.sqrt(low * high)
        beyond = np.zeros(draws, dtype=bool)
        for apart, parts in tests:
            beyond |= apart > sum(t_quantile(freedom, middle / 2) ** 2 * part for part, freedom in parts)
        low, high = (middle, high) if beyond.mean() <= ALPHA else (low, middle)
    return low


@pytest.mark.parametrize(
    ("count", "seeds", "noise"), [(2, 3, 0.1), (7, 1, 0.0), (12, 4, 0.02), (12, 4, 2.0), (20, 2, 0.1)]
)
@pytest.mark.parametrize("same_seeds", [True, False])
def test_the_alpha_of_all_pairs_is_that_of_looking_at_all_of_them(
    count: int, seeds: int, noise: float, same_seeds: bool
) -> None:
    random = np.random.default_rng(count)
    shared = random.normal(size=90)
    values = [
        shared + 0.4 * random.normal(size=(seeds, 90)) + noise * random.normal(size=(seeds, 1)) for _ in range(count)
    ]
    numbers = [tuple(range(0 if same_seeds else place % 2, seeds)) or (9,) for place in range(count)]
    numbers = [n if len(n) == seeds else tuple(range(10, 10 + seeds)) for n in numbers]
    models = SampledModels(values, numbers, [str(sample // 2) for sample in range(90)])
    rows = list(models.rows())
    found = [difference(row, place) for row in rows for place in range(len(row.value))]
    assert alpha_of_all_pairs(models, rows, 0) == one_by_one(models, found, 0)
