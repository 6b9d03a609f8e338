"""Differences, p, flips and seeds against values worked by hand, brute force and simulated experiments."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.labels.calibration import calibration_statistics
from harness.record import Estimate
from harness.stats.grouped import GroupedStatistics
from harness.stats.paired_difference import Draws, newcombe, paired, unpaired
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.randomisation import swap_p, swap_p_of_mean
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics
from harness.stats.slices import SeedMean, SliceStatistics, counted_rows, slice_of
from tests.benchmarks.simulated_populations import seeded_answers

DRAWS = Draws(resamples=400, swaps=2000, joint_swaps=400)


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


def joined(a: Ratio, b: Ratio) -> Ratio:
    return Ratio(np.stack([a.hits, b.hits], 1).ravel(), np.stack([a.tries, b.tries], 1).ravel())


def ratios(n: int, seed: int = 0) -> tuple[Ratio, Ratio]:
    source = np.random.default_rng(seed)
    tries = source.integers(1, 9, size=n).astype(float)
    return Ratio(source.binomial(tries.astype(int), 0.6) * 1.0, tries), Ratio(
        source.binomial(tries.astype(int), 0.4) * 1.0, tries
    )


def test_swapping_a_mean_equals_all_swaps_counted_by_hand() -> None:
    """Of the 8 ways to swap 1, 2, 4, two give a sum of at least 5 in size beside +-7: 7, 5, -5, -7."""
    differences = np.array([-1.0, 2.0, 4.0])
    exact = np.mean([abs(np.dot(signs, differences)) >= 5 for signs in itertools.product((-1, 1), repeat=3)])
    assert exact == 0.5
    assert swap_p_of_mean(differences, range(3), 20_000) == pytest.approx(0.5, abs=0.02)


def test_swapping_any_metric_equals_every_swap_scored_by_itself() -> None:
    a, b = ratios(8)
    observed = a.value - b.value
    extreme = []
    for choice in itertools.product((0, 1), repeat=8):
        first = np.where(choice, a.hits, b.hits).sum() / a.tries.sum()
        second = np.where(choice, b.hits, a.hits).sum() / a.tries.sum()
        extreme.append(abs(first - second) >= abs(observed) - 1e-12)
    found = swap_p([joined(a, b)], observed, range(8), 20_000)
    assert found == pytest.approx(float(np.mean(extreme)), abs=0.015)


def test_samples_of_a_cluster_are_swapped_together() -> None:
    """Four equal samples of one image are one piece of evidence: half of all swaps are as extreme."""
    assert swap_p_of_mean(np.ones(4), ["image"] * 4, 2000) == 1.0
    assert swap_p_of_mean(np.ones(4), range(4), 20_000) == pytest.approx(2 / 16, abs=0.01)
    a, b = Ratio(np.ones(4), np.ones(4)), Ratio(np.zeros(4), np.ones(4))
    assert swap_p([joined(a, b)], 1.0, ["image"] * 4, 200) == 1.0


def test_a_ratio_is_told_from_a_mean_and_uses_the_joint_set() -> None:
    a, b = ratios(60)
    assert counted_rows(a) is None
    assert counted_rows(MeanStatistics(a.per_sample)) is not None
    joint = paired("ratio", [a], [b], [joined(a, b)], DRAWS)
    alone = paired("ratio", [a], [b], [], DRAWS)
    assert joint is not None
    assert alone is not None
    assert (joint.p_method, alone.p_method) == ("approximate randomisation", "paired bootstrap")
    assert joint.p is not None
    assert joint.p < 0.02
    assert joint.flips is None
    assert joint.told_apart
    wrong = paired("ratio", [a], [b], [joined(a, a)], DRAWS)  # does not score the second model as it scores alone
    assert wrong is not None
    assert wrong.p_method == "paired bootstrap"


def test_a_part_of_the_samples_is_a_mean_over_these() -> None:
    rows = np.array([True, False, True, True])
    found = counted_rows(ProportionStatistics(np.array([True, True, False, True]), rows))
    assert found is not None
    assert found.tolist() == [0, 2, 3]


def test_flips_and_mcnemar_by_hand() -> None:
    a = proportion(np.array([1] * 9 + [0] * 1 + [1] * 10, dtype=bool))
    b = proportion(np.array([0] * 9 + [1] * 1 + [1] * 10, dtype=bool))
    found = paired("top-1", [a], [b], [], DRAWS)
    assert found is not None
    assert found.flips is not None
    assert (found.flips.only_a, found.flips.only_b) == (9, 1)
    assert found.flips.p == pytest.approx(22 / 1024)
    grouped = [GroupedStatistics(side, [str(n // 2) for n in range(20)]) for side in (a, b)]
    clustered = paired("top-1", grouped[:1], grouped[1:], [], DRAWS)
    assert clustered is not None
    assert clustered.flips is not None
    assert clustered.flips.p is None


def test_newcombe_keeps_its_coverage_where_the_bootstrap_has_no_width() -> None:
    assert newcombe(np.ones(20), np.ones(20))[1] > 0.1
    source = np.random.default_rng(1)
    held = 0
    for _ in range(1500):
        hard = source.random(40)
        a, b = (hard < 0.9) * 1.0, np.where(source.random(40) < 0.9, hard < 0.8, hard > 0.5) * 1.0
        low, high = newcombe(a, b)
        held += low <= 0.9 - (0.9 * 0.8 + 0.1 * 0.5) <= high
    assert 0.93 <= held / 1500 <= 0.985


def test_newcombe_by_hand() -> None:
    """36 right for both, 12 only for A, 2 only for B: Wilson of 48/50 and 38/50 put together with phi, corrected."""
    a = np.array([1] * 36 + [1] * 12 + [0] * 2, dtype=float)
    b = np.array([1] * 36 + [0] * 12 + [1] * 2, dtype=float)
    low_p, high_p, low_q, high_q = 0.86540, 0.98896, 0.62587, 0.85702  # Wilson, from tables
    phi = (36 * 0 - 12 * 2) / math.sqrt(48 * 2 * 38 * 12)
    down = math.sqrt((0.96 - low_p) ** 2 - 2 * phi * (0.96 - low_p) * (high_q - 0.76) + (high_q - 0.76) ** 2)
    up = math.sqrt((high_p - 0.96) ** 2 - 2 * phi * (high_p - 0.96) * (0.76 - low_q) + (0.76 - low_q) ** 2)
    assert newcombe(a, b) == pytest.approx((0.2 - down, 0.2 + up), abs=2e-5)


def test_seeds_add_their_own_variance() -> None:
    source = np.random.default_rng(2)
    base = source.random(300)
    a = [MeanStatistics(base + shift) for shift in (0.10, 0.20, 0.30)]
    b = [MeanStatistics(base + 0.05 * source.standard_normal(300)) for _ in range(3)]
    found = paired("m", a, b, [], DRAWS)
    assert found is not None
    differences = [one.value - other.value for one, other in zip(a, b, strict=True)]
    assert found.by_seed == pytest.approx(differences)
    assert found.seed_sd == pytest.approx(np.std(differences, ddof=1) / math.sqrt(3))
    assert found.sampling_sd == pytest.approx(0.05 / math.sqrt(300 * 3), rel=0.2)
    reach = 4.302653 * (found.seed_sd or 0)  # t of 2 degrees of freedom
    assert found.difference - found.low == pytest.approx(reach, rel=0.01)
    t = np.mean(differences) / (found.seed_sd or 1)
    assert found.seed_p == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-6)  # its closed form for 2 degrees
    assert found.flips is None


@pytest.mark.parametrize("seed_sd", [0.0, 0.5])
def test_the_luck_of_a_seed_with_a_sample_counts_once(seed_sd: float) -> None:
    """Two models alike, 5 seeds each, 150 images: intervals hold 0 in 95 %, not in nearly all."""
    source, held, rounds = np.random.default_rng(3), 0, 1000
    for _ in range(rounds):
        right, _ = seeded_answers(source, np.array([0.3, 0.3]), 150, 5, seed_sd)
        a, b = ([MeanStatistics(own.astype(np.float64)) for own in model] for model in right)
        found = paired("top-1", a, b, [], Draws(resamples=100, swaps=10, joint_swaps=10))
        assert found is not None
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / rounds <= 0.975  # 0.985 of the first where it counts twice


def test_equal_seeds_have_no_p_between_them_and_equal_models_no_detectable_change() -> None:
    same = MeanStatistics(np.linspace(0, 1, 30))
    found = paired("m", [same, same], [same, same], [], DRAWS)
    assert found is not None
    assert (found.difference, found.p, found.seed_p, found.smallest_detectable_change) == (0.0, 1.0, None, None)
    assert not found.told_apart


def test_a_slice_leaves_what_is_shared_as_it_is() -> None:
    a, _ = ratios(30)
    places = np.array([3, 7, 8, 20])
    cut = slice_of(a, places)
    assert isinstance(cut, SliceStatistics)
    assert cut.value == pytest.approx(a.hits[places].sum() / a.tries[places].sum())
    counts = np.array([[2, 0, 1, 1], [0, 0, 0, 4]])
    expected = (counts @ a.hits[places]) / (counts @ a.tries[places])
    assert cut.resample(counts) == pytest.approx(expected)
    mean = slice_of(MeanStatistics(a.per_sample), places)
    assert mean.value == pytest.approx(a.per_sample[places].mean())


def test_the_mean_of_seeds_resamples_all_alike() -> None:
    a, b = ratios(10)
    both = SeedMean((a, b))
    counts = np.random.default_rng(0).integers(0, 3, size=(5, 10))
    assert both.resample(counts) == pytest.approx((a.resample(counts) + b.resample(counts)) / 2)
    assert both.value == pytest.approx((a.value + b.value) / 2)


def test_unpaired_puts_two_intervals_together() -> None:
    found = unpaired("m", Estimate(0.6, 0.5, 0.7, 100), Estimate(0.3, 0.26, 0.34, 80))
    reach = math.hypot(0.1, 0.04)
    assert (found.low, found.high) == pytest.approx((0.3 - reach, 0.3 + reach))
    error = math.hypot(0.1, 0.04) / 1.959964
    assert found.p == pytest.approx(math.erfc(0.3 / error / math.sqrt(2)), rel=1e-5)
    assert found.count == 80
    exact = unpaired("m", Estimate(0.6, 0.6, 0.6, 1), Estimate(0.3, 0.3, 0.3, 1))
    assert exact.p is None


@pytest.mark.parametrize("truth", [0.0, 0.12])
def test_false_alarms_and_power_over_simulated_experiments(truth: float) -> None:
    source: Any = np.random.default_rng(11)
    alarms = 0
    for _ in range(200):
        hard = source.random(200)
        a = ((hard < 0.6 + truth) ^ (source.random(200) < 0.05)) * 1.0
        b = ((hard < 0.6) ^ (source.random(200) < 0.05)) * 1.0
        alarms += swap_p_of_mean(a - b, range(200), 500) <= 0.05
    if truth:
        assert alarms / 200 > 0.9
    else:
        assert alarms / 200 < 0.09


@given(st.integers(0, 10_000), st.sampled_from([6, 12, 40]), st.floats(0, 1.5))
@settings(deadline=None, max_examples=40)
def test_no_small_p_stands_beside_an_interval_that_holds_no_difference(seed: int, n: int, shift: float) -> None:
    """ECE had p .027 beside an interval around 0: the randomisation and the bootstrap decided each for itself."""
    draw = np.random.default_rng(seed)
    a, b = MeanStatistics(draw.exponential(size=n) + shift * draw.random(n)), MeanStatistics(draw.exponential(size=n))
    found = paired("x", [a], [b], [], Draws(resamples=200, swaps=500))
    assert found is not None and found.interval is not None and found.p is not None
    if found.p <= 0.05:
        assert found.interval[0] > 0 or found.interval[1] < 0


def test_calibration_errors_of_opposite_sign_are_not_tested_by_mixtures() -> None:
    """Both say .7: one is right in .9, the other in .5. Each is off by .2 and a mixture by nothing."""
    draw, said = np.random.default_rng(4), np.full(400, 0.7)

    def swapped(shares: tuple[float, float]) -> float:
        right = [draw.random(400) < share for share in shares]
        a, b = (calibration_statistics(said, own)["ECE"] for own in right)
        joint = calibration_statistics(np.repeat(said, 2), np.stack(right, axis=1).ravel())["ECE"]
        return swap_p([joint], a.value - b.value, range(400), 200)

    assert math.isnan(swapped((0.9, 0.5)))
    assert not math.isnan(swapped((0.9, 0.95))), "off to the same side: mixtures are as the two"


def test_of_one_image_there_is_neither_interval_nor_p() -> None:
    one = paired("x", [MeanStatistics(np.array([0.9]))], [MeanStatistics(np.array([0.1]))], [], Draws(50, 50, 50))
    assert one is not None
    assert (one.interval, one.p, one.sampling_sd, one.note) == (None, None, None, "too few: 1 image")
    assert not one.told_apart
    same = paired("x", [MeanStatistics(np.arange(5.0))], [MeanStatistics(np.arange(5.0))], [], Draws(50, 50, 50))
    assert same is not None and (same.interval, same.note) == (None, "no sample differs")
    lost = unpaired("x", Estimate(0.9, None, None, 1, "too few: 1 image"), Estimate(0.5, 0.4, 0.6, 50))
    assert (lost.difference, lost.interval, lost.p, lost.note) == (0.4, None, None, "too few: 1 image")
