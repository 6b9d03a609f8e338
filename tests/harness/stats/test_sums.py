"""Metrics of sums: the value, single samples and resamples by hand, and from sparse columns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from harness.stats.sums import SumStatistics, ratio_of_sums

PARTS = np.array([[2.0, 3.0], [0.0, 1.0], [0.0, 0.0]])


def test_a_ratio_of_sums_is_no_mean_of_ratios() -> None:
    found = SumStatistics(PARTS, ratio_of_sums)
    assert found.value == 2 / 4
    assert found.per_sample == pytest.approx([2 / 3, 0.0, np.nan], nan_ok=True)
    counts = np.array([[1, 1, 1], [2, 1, 0], [0, 0, 3]])
    assert found.resample(counts) == pytest.approx([2 / 4, 4 / 7, np.nan], nan_ok=True)


def test_sparse_parts_give_the_same() -> None:
    own = np.array([1.0, 0.0, 0.0])
    dense, sparse = (SumStatistics(p, ratio_of_sums, own=own) for p in (PARTS, scipy.sparse.csr_array(PARTS)))
    counts = np.random.default_rng(0).integers(0, 3, size=(50, 3))
    counts[:, 0] += 1
    assert sparse.value == dense.value
    assert np.array_equal(sparse.resample(counts), dense.resample(counts))
    assert sparse.per_sample is own
