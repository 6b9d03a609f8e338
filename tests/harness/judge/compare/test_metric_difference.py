"""A difference of two models by one metric: numbers of the one estimator, flips, seeds, what is absent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from harness.judge.compare.metric_difference import of_estimates, of_statistics
from harness.record import Estimate
from harness.stats.contributions import contributions
from harness.stats.difference import paired_difference
from harness.stats.grouped import GroupedStatistics
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics


@dataclass(frozen=True)
class Ratio:
    """A metric that is no mean: a ratio of sums."""

    hits: FloatArray
    tries: FloatArray

    @property
    def value(self) -> float:
        return float(self.hits.sum() / self.tries.sum())

    @property
    def per_sample(self) -> FloatArray:
        return np.asarray(self.hits / self.tries)

    def resample(self, counts: IntArray) -> FloatArray:
        return np.asarray((counts @ self.hits) / (counts @ self.tries))


def ratios(n: int, seed: int = 0) -> tuple[Ratio, Ratio]:
    source = np.random.default_rng(seed)
    tries = source.integers(1, 9, size=n).astype(float)
    sides = [Ratio(source.binomial(tries.astype(int), share) * 1.0, tries) for share in (0.6, 0.4)]
    return sides[0], sides[1]


def test_a_metric_that_is_no_mean_has_the_jackknifes_interval() -> None:
    a, b = ratios(80)
    found = of_statistics("ratio", [a], [b])
    assert found is not None
    assert found.found == paired_difference(contributions(a)[None], contributions(b)[None], range(80))
    without = [Ratio(np.delete(s.hits, i), np.delete(s.tries, i)).value for s in (a, b) for i in range(80)]
    left_out = np.array(without[:80]) - np.array(without[80:])
    jackknife = math.sqrt(79 / 80 * float(((left_out - left_out.mean()) ** 2).sum()))  # Tukey 1958
    assert found.sampling_sd == pytest.approx(jackknife, rel=0.05)
    assert found.found.value == pytest.approx(a.value - b.value)
    assert found.flips is None


def test_flips_and_mcnemar_by_hand() -> None:
    a = proportion(np.array([1] * 9 + [0] * 1 + [1] * 10, dtype=bool))
    b = proportion(np.array([0] * 9 + [1] * 1 + [1] * 10, dtype=bool))
    found = of_statistics("top-1", [a], [b])
    assert found is not None and found.flips is not None
    assert (found.flips.only_a, found.flips.only_b, found.count) == (9, 1, 20)
    assert found.flips.p == pytest.approx(22 / 1024)
    assert found.p == pytest.approx(22 / 1024, rel=0.5)
    grouped = [GroupedStatistics(side, [str(n // 2) for n in range(20)]) for side in (a, b)]
    clustered = of_statistics("top-1", grouped[:1], grouped[1:])
    assert clustered is not None and clustered.flips is not None
    assert clustered.flips.p is None
    assert clustered.found.clusters == 10


def test_a_class_counts_its_own_samples() -> None:
    dog = np.arange(60) < 15
    sides = [ProportionStatistics(np.arange(60) % k == 0, dog) for k in (2, 3)]
    found = of_statistics("top-1:dog", sides[:1], sides[1:])
    assert found is not None
    assert (found.count, found.found.clusters) == (15, 15)
    assert found.found.value == pytest.approx(8 / 15 - 5 / 15)


def test_seeds_are_told_apart_from_samples() -> None:
    source = np.random.default_rng(2)
    base = source.random(300)
    a = [MeanStatistics(base + shift) for shift in (0.10, 0.20, 0.30)]
    b = [MeanStatistics(base + 0.05 * source.standard_normal(300)) for _ in range(3)]
    found = of_statistics("m", a, b)
    assert found is not None
    differences = [one.value - other.value for one, other in zip(a, b, strict=True)]
    assert found.by_seed == pytest.approx(differences)
    assert found.seed_sd == pytest.approx(np.std(differences, ddof=1) / math.sqrt(3))
    assert found.found.reach == pytest.approx(4.302653 * (found.seed_sd or 0), rel=0.01)  # t of 2 degrees of freedom
    assert found.flips is None
    others = of_statistics("m", a, b, same_seeds=False)
    assert others is not None
    assert others.seed_sd == pytest.approx(
        math.sqrt(sum(np.var([s.value for s in side], ddof=1) / 3 for side in (a, b)))
    )


def test_equal_models_are_not_told_apart_and_of_one_image_there_is_nothing() -> None:
    same = MeanStatistics(np.linspace(0, 1, 30))
    found = of_statistics("m", [same, same], [same, same])
    assert found is not None
    assert (found.found.value, found.p, found.found.alike, found.found.told_apart) == (0.0, 1.0, True, False)
    one = of_statistics("x", [MeanStatistics(np.array([0.9]))], [MeanStatistics(np.array([0.1]))])
    assert one is not None
    assert (one.found.interval, one.p, one.sampling_sd, one.found.note) == (None, None, None, "too few: 1 image")
    assert one.to_json()["low"] is None
    assert of_statistics("x", [MeanStatistics(np.array([np.nan]))], [same]) is None


def test_estimates_are_put_together() -> None:
    found = of_estimates("m", [Estimate(0.6, 0.5, 0.7, 100)], [Estimate(0.3, 0.26, 0.34, 80)])
    reach = math.hypot(0.1, 0.04)
    assert found.found.interval == pytest.approx((0.3 - reach, 0.3 + reach))
    error = reach / 1.959964
    assert found.p == pytest.approx(math.erfc(0.3 / error / math.sqrt(2)), rel=1e-5)
    assert found.count == 80
    lost = of_estimates("x", [Estimate(0.9, None, None, 1, "too few: 1 image")], [Estimate(0.5, 0.4, 0.6, 50)])
    assert (lost.found.value, lost.found.interval, lost.p) == (0.4, None, None)
