from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from harness.stats.intervals import (
    DifferenceOf,
    clustered_wilson,
    draw_resamples,
    scored_blocks,
    wilson,
)
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics
from tests.harness.stats.single_metrics import bootstrap


def sample(seed: int, n: int = 200, shift: float = 0.0) -> MeanStatistics:
    return MeanStatistics(np.random.default_rng(seed).normal(shift, 1.0, n))


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.19207) / 1.38415, half width 1.96 * sqrt(0.016 + 0.0096) / 1.38415
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_wilson_at_the_ends() -> None:
    low, high = wilson(20, 20)
    assert 0.83 < low < 0.85 and high == 1.0
    assert wilson(0, 20)[0] == 0.0
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    statistics = sample(0)
    low, high = bootstrap(statistics, resamples=4000)[:2]
    error = statistics.per_sample.std() / np.sqrt(200)
    assert low == pytest.approx(statistics.value - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(statistics.value + 1.96 * error, abs=0.15 * error)


def test_interval_is_the_same_every_time_and_moves_with_the_seed() -> None:
    statistics = sample(0)
    assert bootstrap(statistics)[:2] == bootstrap(statistics)[:2]
    assert bootstrap(statistics)[:2] != bootstrap(statistics, seed=1)[:2]


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    intervals = [bootstrap(sample(seed, n=60), resamples=400)[:2] for seed in range(300)]
    covered = np.mean([low <= 0.0 <= high for low, high in intervals])
    assert 0.90 < covered < 0.98


def test_one_sample_has_no_width() -> None:
    assert bootstrap(MeanStatistics(np.array([0.4])))[:2] == pytest.approx((0.4, 0.4))


def test_every_resample_draws_as_many_as_there_are() -> None:
    blocks = list(draw_resamples(3000, 3000))
    assert len(blocks) > 1
    assert sum(len(block) for block in blocks) == 3000
    assert all((block.sum(axis=1) == 3000).all() for block in blocks)


def test_groups_are_drawn_together() -> None:
    groups = ["x", "y", "x", "z"]
    (block,) = draw_resamples(4, 50, groups=groups)
    assert (block[:, 0] == block[:, 2]).all()
    assert ((block[:, 0] + block[:, 1] + block[:, 3]) == 3).all()


def test_groups_widen_the_interval_of_items_that_agree() -> None:
    statistics = MeanStatistics(np.repeat(np.random.default_rng(0).normal(size=50), 5))
    groups = np.repeat(np.arange(50), 5).tolist()
    alone, together = bootstrap(statistics)[:2], bootstrap(statistics, groups=groups)[:2]
    assert together[1] - together[0] > 1.8 * (alone[1] - alone[0])


@pytest.mark.parametrize("n, resamples, groups", [(0, 10, None), (3, 0, None), (3, 5, ["a"])])
def test_impossible_resamples_are_refused(n: int, resamples: int, groups: list[str] | None) -> None:
    with pytest.raises(ValueError):
        next(draw_resamples(n, resamples, groups=groups))


@dataclass(frozen=True)
class Fixed:
    """A metric whose resamples are given."""

    value: float
    resamples: list[float]
    per_sample: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(10_000))  # so many expand nothing

    def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.array(self.resamples[: len(counts)])


def test_the_interval_is_moved_by_what_resampling_adds() -> None:
    # the resamples 3..7 have the mean 5, the metric is 4: the percentiles 3.1 and 6.9 move down by 1
    low, high = bootstrap(Fixed(4.0, [3.0, 4.0, 5.0, 6.0, 7.0]), 5)[:2]
    assert (low, high) == pytest.approx((2.1, 5.9), abs=1e-3)


@pytest.mark.parametrize(
    ("value", "resamples", "interval"),
    [
        (0.01, [0.0, 0.1, 0.2], (0.0, 0.105)),  # moved by -0.09; 0.005 would go to -0.085
        (0.99, [0.8, 0.9, 1.0], (0.895, 1.0)),
        (-0.1, [-0.3, 0.0, 0.0], (-0.285, 0.0)),  # a difference may be below 0
        (9.0, [7.0, 8.0, 9.0], (8.05, 9.95)),  # and CIDEr above 1
        (0.5, [0.0, 0.5, 1.0], (0.025, 0.975)),
    ],
)
def test_a_moved_interval_stays_in_the_range_of_the_metric(
    value: float, resamples: list[float], interval: tuple[float, float]
) -> None:
    assert bootstrap(Fixed(value, resamples), 3)[:2] == pytest.approx(interval, abs=1e-3)


def test_resamples_without_a_value_are_left_out() -> None:
    nan = math.nan
    whole = bootstrap(Fixed(0.5, [0.4, 0.5, 0.6]), 3)[:2]
    assert bootstrap(Fixed(0.5, [nan, 0.4, nan, 0.5, 0.6]), 5)[:2] == whole
    assert all(math.isnan(end) for end in bootstrap(Fixed(0.5, [nan, nan]), 2)[:2])


@pytest.mark.parametrize(
    ("n", "outside"),
    [(5, 0.00095), (20, 0.01590), (200, 0.02402)],  # Phi(-sqrt(n / (n - 1)) t): 5: t = 2.776, so Phi(-3.104)
)
def test_few_samples_take_percentiles_that_are_further_out(n: int, outside: float) -> None:
    values = np.linspace(0, 1, 10_001)
    low, high = bootstrap(Fixed(0.5, values.tolist(), np.zeros(n)), 10_001)[:2]
    assert (low, 1 - high) == pytest.approx((outside, outside), abs=2e-5)


def test_few_groups_expand_and_not_few_samples() -> None:
    values = np.linspace(0, 1, 10_001).tolist()
    groups = [str(place // 20) for place in range(100)]
    grouped = bootstrap(Fixed(0.5, values, np.zeros(100)), 10_001, groups=groups)[:2]
    assert grouped == bootstrap(Fixed(0.5, values, np.zeros(5)), 10_001)[:2]


def test_wilson_of_clustered_trials_by_hand() -> None:
    # 3 images of 2 questions: sums of (x - 4/6) are 2/3, 2/3, -4/3, so the variance is (24/9) / 36 * 3/2 = 1/9 and
    # (4/6)(2/6) / (1/9) = 2 questions are independent; t(2) = 4.3027 leaves 2 * (1.95996 / 4.3027)^2 = 0.41501
    right, images = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "b", "c", "c"]
    assert clustered_wilson(right, images) == pytest.approx(wilson(0.41501 * 4 / 6, 0.41501), abs=1e-4)


def test_clustered_trials_count_no_more_than_they_are_and_alike_ones_as_one() -> None:
    mixed, images = np.tile([1.0, 0.0], 20), np.repeat(np.arange(20), 2).tolist()
    few = (1.959964 / 2.093024) ** 2  # Student's t of 19
    assert clustered_wilson(mixed, images) == pytest.approx(wilson(20 * few, 40 * few), abs=1e-6)
    assert clustered_wilson(np.ones(40), images) == wilson(20, 20)
    assert clustered_wilson(np.zeros(40), images) == wilson(0, 20)
    assert clustered_wilson(mixed, ["one"] * 40) == (0.0, 1.0)
    assert clustered_wilson(np.zeros(0), []) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 groups for 40 trials"):
        clustered_wilson(mixed, ["a", "b", "c"])


def test_a_difference_may_be_below_what_its_resamples_found() -> None:
    few = MeanStatistics(np.array([0.01, 0.01, 0.01, 0.01, 1.0]))
    nothing = MeanStatistics(np.zeros(5))
    assert bootstrap(few, 500).low == 0.0
    assert bootstrap(DifferenceOf(few, nothing), 500, error=0.198).low == pytest.approx(
        0.208 - 2.7764 * 0.198, abs=1e-3
    )


def test_metrics_of_as_many_resamples_are_given_one_array_of_them() -> None:
    seen: list[list[int]] = [[], [], []]

    class Watched(MeanStatistics):
        def resample(self, counts: IntArray) -> FloatArray:
            seen[int(self.per_sample[0])].append(id(counts))
            return super().resample(counts)

    some = [Watched(np.array([float(number), 1.0, 2.0])) for number in range(3)]
    kept = [score() for score in scored_blocks(some, [10, 10, 4])]
    assert [len(values) for values in kept[0]] == [10, 10, 4]
    assert seen[0] == seen[1] != seen[2], "what they have in common is worked out once"
