"""Tests of no difference against scipy's and statsmodels-free hand calculations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.significance import benjamini_hochberg, cluster_sums, holm, mcnemar_p, randomisation_p, sign_flip_p

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def exact_p(differences: np.ndarray) -> float:
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    return float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean())


def test_randomisation_is_the_share_of_all_signings_that_is_as_extreme():
    differences = np.array([0.4, 0.1, -0.2, 0.5, 0.3, 0.2, -0.1, 0.4])
    assert randomisation_p(differences[:, None], rounds=40_000)[0] == pytest.approx(exact_p(differences), abs=0.01)


def test_randomisation_of_several_comparisons_is_that_of_each():
    differences = np.random.default_rng(0).normal(0.1, 1, size=(50, 3))
    together = randomisation_p(differences, rounds=2000)
    assert together == pytest.approx([randomisation_p(differences[:, [k]], rounds=2000)[0] for k in range(3)])


def test_no_difference_at_all_has_p_one():
    assert randomisation_p(np.zeros((10, 2))).tolist() == [1, 1]


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(first, second):
    expected = scipy.stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_p(first, second) == pytest.approx(expected)


def test_mcnemar_of_very_many_flips_does_not_overflow():
    assert mcnemar_p(0, 5000) == 0.0
    assert 0.1 < mcnemar_p(2460, 2540) < 0.4


@given(PROBABILITIES)
def test_benjamini_hochberg_is_scipys(p):
    assert benjamini_hochberg(p) == pytest.approx(scipy.stats.false_discovery_control(p))


@given(PROBABILITIES)
def test_holm_rejects_step_by_step(p):
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.5):
        rejected = 0
        for rank, place in enumerate(np.argsort(p, kind="stable")):
            if p[place] * (len(p) - rank) > alpha:
                break
            rejected += 1
        assert sum(a <= alpha for a in adjusted) == rejected


def test_clusters_are_summed_in_order_of_first_sight():
    assert cluster_sums(np.array([1.0, 2.0, 4.0]), ["b", "a", "b"]).tolist() == [5.0, 2.0]


@pytest.mark.parametrize("size", [5, 12])
def test_sign_flips_of_few_are_all_signings(size):
    differences = np.random.default_rng(size).normal(0.3, 1, size)
    assert sign_flip_p(differences) == pytest.approx(exact_p(differences))


@pytest.mark.parametrize("shift", [0.05, 0.2, 0.35])
def test_sign_flips_of_many_are_the_drawn_ones(shift):
    differences = np.random.default_rng(1).standard_t(4, size=100) + shift
    drawn = randomisation_p(differences[:, None], rounds=100_000)[0]
    assert sign_flip_p(differences) == pytest.approx(drawn, rel=0.08, abs=2e-4)


def test_sign_flips_in_the_far_tail():
    differences = np.random.default_rng(2).uniform(0.5, 1.5, size=40)
    assert sign_flip_p(differences) == 2.0**-39  # only the two signings with all signs equal are as extreme
    one_less = differences.copy()
    one_less[np.argmin(one_less)] *= -1
    assert 2.0**-39 < sign_flip_p(one_less) < 100 * 2.0**-39


def test_sign_flips_of_equal_sizes_are_mcnemar():
    assert sign_flip_p(np.array([0.5] * 9 + [-0.5])) == pytest.approx(mcnemar_p(9, 1))
    assert sign_flip_p(np.zeros(4)) == 1.0


@pytest.mark.parametrize("excess", [10, 20, 30])
def test_sign_flips_of_whole_numbers_are_those_of_their_lattice(excess):
    sizes = np.array([1] * 50 + [2] * 30)
    total, signs = sizes.sum(), np.ones(len(sizes))
    signs[: (total - excess) // 2] = -1  # of the ones first: the sum is then what remains
    differences = sizes * signs
    ways = np.zeros(2 * total + 1)
    ways[total] = 1.0
    for size in sizes:
        ways = (np.roll(ways, size) + np.roll(ways, -size)) / 2
    sums = np.arange(-total, total + 1)
    exact = ways[np.abs(sums) >= abs(differences.sum())].sum()
    assert sign_flip_p(differences) == pytest.approx(exact, rel=0.02)
