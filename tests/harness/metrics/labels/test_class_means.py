"""What means over classes are without each sample in turn is what the resample without it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.metrics.labels.classification import label_statistics
from harness.metrics.labels.multilabel import multilabel_statistics
from harness.stats.intervals import jackknife_together


class Plain:
    """A metric that says nothing of single samples."""

    def __init__(self, whole: Any) -> None:
        self.value, self.per_sample, self.resample = whole.value, whole.per_sample, whole.resample


def metrics(samples: int, classes: int) -> list[Any]:
    source = np.random.default_rng(samples)
    labels = source.integers(0, classes, samples)
    predicted = np.where(source.random(samples) < 0.3, source.integers(-1, classes, samples), labels)
    single = label_statistics(predicted, labels, [str(number) for number in range(classes)])
    several = (source.random((samples, classes)) < 0.4).astype(np.int8) | np.eye(samples, classes, dtype=np.int8)
    scores = source.random((samples, classes))
    names = [str(number) for number in range(classes)]
    return [single["macro-F1"], single["balanced-accuracy"], multilabel_statistics(scores, several, names)["macro-F1"]]


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (5, 4), (40, 5), (200, 30)])
def test_without_each_sample(samples: int, classes: int) -> None:
    every = np.arange(samples)
    for one in metrics(samples, classes):
        resamples = np.ones((samples, samples), dtype=np.int64) - np.eye(samples, dtype=np.int64)
        np.testing.assert_allclose(one.without_each(every), one.resample(resamples), atol=1e-14)
        np.testing.assert_array_equal(one.without_each(every[:0]), [])
        assert jackknife_together([one])[0] == pytest.approx(jackknife_together([Plain(one)])[0], abs=1e-12)


def test_metrics_that_know_and_that_do_not_stand_side_by_side() -> None:
    known, other, _ = metrics(40, 5)
    mixed = jackknife_together([Plain(known), other, known, Plain(other)])
    assert mixed == pytest.approx(jackknife_together([known, other, known, other]), abs=1e-12)
    assert mixed[0] == pytest.approx(mixed[2], abs=1e-12) != pytest.approx(mixed[1], abs=1e-6)
