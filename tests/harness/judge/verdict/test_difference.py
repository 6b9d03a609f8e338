"""The interval over seeds and samples: coverage, false alarms, power, and cases by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.judge.verdict.comparison import combined
from harness.record import Estimate
from harness.stats.crossed_difference import crossed_difference, unpaired_difference
from harness.stats.seed_variance import standard_error

ROUNDS = 1000


def covered(truth: float, draws: list[np.ndarray], grain: float = 0.0) -> float:
    found = [crossed_difference(values, grain) for values in draws]
    return sum(d.low <= truth <= d.high for d in found) / len(found)


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
    ],
)
def test_coverage_with_crossed_effects(
    seed_sd: float, sample_sd: float, rest_sd: float, seeds: int, samples: int
) -> None:
    generator = np.random.default_rng(11)
    draws = [
        0.05
        + seed_sd * generator.standard_normal((seeds, 1))
        + sample_sd * generator.standard_normal((1, samples))
        + rest_sd * generator.standard_normal((seeds, samples))
        for _ in range(ROUNDS)
    ]
    assert 0.93 <= covered(0.05, draws) <= 0.97


@pytest.mark.parametrize(("base", "samples"), [(0.5, 200), (0.9, 500)])
def test_coverage_for_right_and_wrong(base: float, samples: int) -> None:
    """Two models whose answers are right with a chance that depends on the sample and, a little, on the seed."""
    generator = np.random.default_rng(5)
    draws = []
    for _ in range(ROUNDS):
        ease = generator.beta(4 * base, 4 * (1 - base), size=(1, samples))
        chance = np.clip(ease + 0.02 * generator.standard_normal((2, 5, 1)), 0, 1)
        hits = generator.random((2, 5, samples)) < chance
        draws.append(hits[0].astype(float) - hits[1])
    assert 0.93 <= covered(0.0, draws, grain=1.0) <= 0.975


def test_coverage_in_clusters() -> None:
    """Samples of one image share what is hard about it; as independent their interval would be too narrow."""
    generator = np.random.default_rng(3)
    clusters = [f"image{n // 4}" for n in range(400)]
    together, apart = 0, 0
    for _ in range(300):
        shared = np.repeat(0.4 * generator.standard_normal((1, 100)), 4, axis=1)
        values = 0.02 * generator.standard_normal((5, 1)) + shared + 0.3 * generator.standard_normal((5, 400))
        found, wrong = combined(values, clusters), combined(values, [str(n) for n in range(400)])
        together += found.low <= 0 <= found.high
        apart += wrong.low <= 0 <= wrong.high
    assert 0.92 <= together / 300 <= 0.98
    assert apart / 300 < 0.85


def test_by_hand() -> None:
    # Two seeds, three clusters. Rows' means 2 and 4, columns' means 2, 3, 4, mean 3; no rest.
    values = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
    found = crossed_difference(values)
    assert found.value == 3
    assert found.seed_error**2 == pytest.approx(2 / 2)  # variance of (2, 4) is 2
    assert found.sample_error**2 == pytest.approx(1 / 3)  # variance of (2, 3, 4) is 1
    assert found.freedom == pytest.approx((4 / 3) ** 2 / (1**2 / 1 + (1 / 3) ** 2 / 2))
    assert (found.seeds, found.clusters, found.needs) == (2, 3, "seeds")
    assert found.low == pytest.approx(3 - found.reach)


def test_rest_is_not_counted_twice() -> None:
    # All variance is rest: seeds' means are 0.5 and -0.5 of (1, 0), (0, -1); columns' means 0.5, -0.5; rest 0.
    # With rows (1, -1), (-1, 1) the rows' and columns' means are all 0 and only the rest is left.
    found = crossed_difference(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (found.value, found.error) == (0.0, 0.0)


def test_one_seed_has_the_samples_variance_alone() -> None:
    values = np.random.default_rng(0).standard_normal((1, 50))
    found = crossed_difference(values)
    assert found.seed_error == 0
    assert found.sample_error == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert found.freedom == pytest.approx(49)


def test_all_equal_is_no_proof() -> None:
    # 20 of 20 alike: the grain of 1 gives 2 * (1 / 20)^2 as variance, so the interval is no point.
    found = crossed_difference(np.zeros((5, 20)), grain=1.0)
    assert found.sample_error == pytest.approx(math.sqrt(2) / 20)
    assert found.high > 0.1
    assert crossed_difference(np.zeros((5, 20))).p == 1


def test_p_and_interval_agree() -> None:
    values = np.random.default_rng(1).standard_normal((5, 40)) * 0.1
    found = crossed_difference(values + 0.05)
    shifted = crossed_difference(values + 0.05 - found.low)
    assert shifted.p == pytest.approx(0.05)
    assert found.p_at_least(found.high) == pytest.approx(0.025)
    assert found.detectable > found.reach


def test_unpaired_by_hand() -> None:
    found = unpaired_difference(np.array([0.1, 0.2, 0.3]), 0.0004, 100)
    assert found.value == pytest.approx(0.2)
    assert found.error**2 == pytest.approx(0.01 / 3 + 0.0004)
    assert not found.paired
    assert standard_error(Estimate(0.5, 0.5 - 1.959964, 0.5 + 1.959964, 1)) == pytest.approx(1)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((2, 1)), np.array([[1.0, np.nan], [0.0, 0.0]])])
def test_refuses_what_has_no_interval(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"NaN|wanted"):
        crossed_difference(values)
