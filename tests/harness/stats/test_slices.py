"""A metric on some of the samples: means stay means, and what is shared by all stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from harness.stats.resampling import FloatArray, IntArray, MeanStatistics
from harness.stats.slices import SliceStatistics, slice_of


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


def test_a_slice_leaves_what_is_shared_as_it_is() -> None:
    source = np.random.default_rng(0)
    a = Ratio(source.random(30), source.integers(1, 9, size=30).astype(float))
    places = np.array([3, 7, 8, 20])
    cut = slice_of(a, places)
    assert isinstance(cut, SliceStatistics)
    assert cut.value == pytest.approx(a.hits[places].sum() / a.tries[places].sum())
    counts = np.array([[2, 0, 1, 1], [0, 0, 0, 4]])
    assert cut.resample(counts) == pytest.approx((counts @ a.hits[places]) / (counts @ a.tries[places]))
    mean = slice_of(MeanStatistics(a.per_sample), places)
    assert mean.value == pytest.approx(a.per_sample[places].mean())
