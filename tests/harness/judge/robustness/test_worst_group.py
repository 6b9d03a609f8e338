from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from harness.errors import DataError
from harness.judge.robustness.worst_group import GroupScore, minimum_under_null, slice_scores, worst_group
from harness.record import Estimate


@pytest.mark.parametrize(("groups", "printed"), [(4, 0.649), (8, 0.633), (16, 0.618)])
def test_the_bias_that_science_names(groups: int, printed: float) -> None:
    null, _ = minimum_under_null((100,) * groups, 0.7, 0.65)
    assert null.value == pytest.approx(printed, abs=0.005)  # printed ones were simulated
    draws = np.random.default_rng(0).binomial(100, 0.7, size=(40_000, groups)).min(axis=1) / 100
    assert null.value == pytest.approx(draws.mean(), abs=0.001)
    assert (null.low, null.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.0101)


@pytest.mark.parametrize("sizes", [(1, 2), (3, 3, 2), (2, 5), (6, 7)])
@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.5, 1.0])
def test_equals_enumeration(sizes: tuple[int, ...], accuracy: float) -> None:
    mean, chance = 0.0, 0.0
    for rights in product(*(range(n + 1) for n in sizes)):
        weight = 1.0
        for right, n in zip(rights, sizes, strict=True):
            weight *= comb(n, right) * accuracy**right * (1 - accuracy) ** (n - right)
        least = min(right / n for right, n in zip(rights, sizes, strict=True))
        mean += weight * least
        chance += weight * (least <= 0.5)
    null, p = minimum_under_null(sizes, accuracy, 0.5)
    assert (null.value, p) == pytest.approx((mean, chance), abs=1e-9)


def test_by_hand() -> None:
    found = worst_group({"a": GroupScore(360, 400), "b": GroupScore(300, 400)})
    assert (found.name, found.accuracy.value, found.count, found.groups) == ("b", 0.75, 400, 2)
    assert found.interpretable and found.p < 1e-3 and (found.null.low or 0) > 0.75
    few = worst_group({"a": GroupScore(360, 400), "b": GroupScore(300, 399)})
    assert not few.interpretable and few.smallest == 399


def test_all_right_and_all_wrong() -> None:
    for right, value in ((5, 1.0), (0, 0.0)):
        found = worst_group({"a": GroupScore(right, 5), "b": GroupScore(right, 5)})
        assert (found.accuracy.value, found.null.value, found.p) == (value, value, 1.0)
        assert found.accuracy.low != found.accuracy.high, "Wilson's interval has a width"


def test_one_group_and_an_empty_one_are_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        worst_group({"a": GroupScore(1, 2)})
    with pytest.raises(DataError, match="Group b has no samples"):
        worst_group({"a": GroupScore(1, 2), "b": GroupScore(0, 0)})


def e(value: float, count: int) -> Estimate:
    return Estimate(value, 0.0, 1.0, count)


def test_slices_that_are_a_partition_are_groups() -> None:
    metrics = {"top-1": e(0.5, 10), "top-1[day]": e(0.75, 4), "top-1[night]": e(2 / 6, 6), "top-1:cat": e(1.0, 2)}
    assert slice_scores(metrics, "top-1") == {"day": GroupScore(3, 4), "night": GroupScore(2, 6)}
    assert slice_scores({**metrics, "top-1[wet]": e(0.5, 2)}, "top-1") == {}, "they overlap"
    assert slice_scores({**metrics, "top-1": e(0.6, 10)}, "top-1") == {}, "they do not add up"
    assert slice_scores({"top-1": e(0.5, 10)}, "top-1") == {}
    assert slice_scores({}, "top-1") == {}
    assert slice_scores({"F1": e(0.5, 4), "F1[a]": e(0.1, 2), "F1[b]": e(0.9, 2)}, "F1") == {}, "no share of samples"
