"""Tests of no difference against scipy's and statsmodels'."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.significance import benjamini_hochberg, cluster_sums, holm, mcnemar_p

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


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


@pytest.fixture(scope="module")
def little_garbage() -> Iterator[None]:
    """Keep what is there out of the collector's way: statsmodels collects garbage at each call."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("little_garbage")
@given(PROBABILITIES)
@settings(deadline=None)
def test_holm_is_that_of_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_clusters_are_summed_in_order_of_first_sight():
    assert cluster_sums(np.array([1.0, 2.0, 4.0]), ["b", "a", "b"]).tolist() == [5.0, 2.0]
