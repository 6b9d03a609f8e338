"""Shift tests keep to their rate of false alarms and see shifts; statistics equal those by another implementation."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.shift_tests import kernel_shift, marginal_shift, together


def test_discrepancy_by_hand() -> None:
    """Two points against one: pooled distances 1, 4, 1, median 1; k = exp(-d^2)."""
    one, other = np.array([[0.0], [1.0]]), np.array([[2.0]])
    found, p = kernel_shift(one, other, 3, np.random.default_rng(0))
    expected = (2 + 2 * np.exp(-1)) / 4 + 1 - 2 * (np.exp(-4) + np.exp(-1)) / 2
    assert found == pytest.approx(expected) and 0.25 <= p <= 1


@pytest.mark.parametrize("columns", [1, 6])
def test_false_alarms_are_as_rare_as_stated(columns: int) -> None:
    """400 pairs of samples from one distribution: the share of alarms is 5 % within 2.6 standard errors, or below."""
    random, alarms = np.random.default_rng(11), 0
    for _ in range(400):
        one, other = random.normal(size=(40, columns)), random.normal(size=(30, columns))
        rounded = [np.round(each, 1) for each in (one, other)]  # ties, as of counts
        tests = together(
            {"a": (*marginal_shift(*rounded), columns), "b": (*kernel_shift(one, other, 99, random), columns)}
        )
        alarms += any(test.adjusted <= 0.05 for test in tests)
    assert 0.005 <= alarms / 400 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)


def test_shifts_are_seen_each_by_the_test_that_is_for_it() -> None:
    random = np.random.default_rng(2)
    one = random.normal(size=(150, 4))
    moved = random.normal(size=(150, 4)) + np.array([0.0, 0.0, 0.7, 0.0])
    assert marginal_shift(one, moved)[1] < 0.001 and kernel_shift(one, moved, 199, random)[1] == 0.005
    joint = one[:, [0, 0, 2, 3]] * np.array([1.0, 1.0, 1.0, 1.0])  # each column alone looks as before
    assert marginal_shift(one, random.permutation(joint))[1] > 0.2 and kernel_shift(one, joint, 199, random)[1] < 0.05


def test_columns_that_never_change_say_nothing() -> None:
    assert marginal_shift(np.zeros((9, 3)), np.zeros((7, 3))) == (0.0, 1.0)
    two = together({"a": (0.1, 0.02, 1), "b": (0.2, 0.5, 1)})
    assert [test.adjusted for test in two] == [0.04, 0.5]
