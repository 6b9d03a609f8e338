from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.resampling import MeanStatistics
from harness.uncertainty import bootstrap_interval, draw_resamples, paired_difference, wilson


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
    low, high = bootstrap_interval(statistics, resamples=4000)
    error = statistics.per_sample.std() / np.sqrt(200)
    assert low == pytest.approx(statistics.value - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(statistics.value + 1.96 * error, abs=0.15 * error)


def test_interval_is_the_same_every_time_and_moves_with_the_seed() -> None:
    statistics = sample(0)
    assert bootstrap_interval(statistics) == bootstrap_interval(statistics)
    assert bootstrap_interval(statistics) != bootstrap_interval(statistics, seed=1)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    intervals = [bootstrap_interval(sample(seed, n=60), resamples=400) for seed in range(300)]
    covered = np.mean([low <= 0.0 <= high for low, high in intervals])
    assert 0.90 < covered < 0.98


def test_one_sample_has_no_width() -> None:
    assert bootstrap_interval(MeanStatistics(np.array([0.4]))) == pytest.approx((0.4, 0.4))


def test_every_resample_draws_as_many_as_there_are() -> None:
    blocks = list(draw_resamples(3000, 2000))
    assert len(blocks) > 1
    assert sum(len(block) for block in blocks) == 2000
    assert all((block.sum(axis=1) == 3000).all() for block in blocks)


def test_groups_are_drawn_together() -> None:
    groups = ["x", "y", "x", "z"]
    (block,) = draw_resamples(4, 50, groups=groups)
    assert (block[:, 0] == block[:, 2]).all()
    assert ((block[:, 0] + block[:, 1] + block[:, 3]) == 3).all()


def test_groups_widen_the_interval_of_items_that_agree() -> None:
    statistics = MeanStatistics(np.repeat(np.random.default_rng(0).normal(size=50), 5))
    groups = np.repeat(np.arange(50), 5).tolist()
    alone, together = bootstrap_interval(statistics), bootstrap_interval(statistics, groups=groups)
    assert together[1] - together[0] > 1.8 * (alone[1] - alone[0])


@pytest.mark.parametrize("n, resamples, groups", [(0, 10, None), (3, 0, None), (3, 5, ["a"])])
def test_impossible_resamples_are_refused(n: int, resamples: int, groups: list[str] | None) -> None:
    with pytest.raises(ValueError):
        next(draw_resamples(n, resamples, groups=groups))


def test_pairing_finds_a_small_common_difference() -> None:
    base = sample(0)
    better = MeanStatistics(base.per_sample + np.random.default_rng(1).normal(0.05, 0.1, 200))
    result = paired_difference(better, base)
    assert 0 < result.low < result.difference < result.high
    assert result.p < 0.01
    # (1.96 + 0.84) standard errors of the mean of differences
    assert result.smallest_detectable_change == pytest.approx(2.8 * 0.1 / np.sqrt(200), rel=0.2)


def test_no_difference() -> None:
    result = paired_difference(sample(0), sample(0))
    assert result == (0.0, 0.0, 0.0, 1.0, 0.0)


def test_p_is_uniform_where_models_do_not_differ() -> None:
    p = [paired_difference(sample(2 * i, n=50), sample(2 * i + 1, n=50), resamples=200).p for i in range(200)]
    assert 0.02 <= np.mean(np.array(p) <= 0.1) <= 0.18


def test_pairs_need_the_same_samples() -> None:
    with pytest.raises(ValueError, match="same samples"):
        paired_difference(sample(0, 5), sample(0, 6))
