"""Precision without one image at a time is that of a ranking in which the image is not drawn."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.boxes.drawn_precision import DrawnPrecision, Draws
from harness.metrics.boxes.interpolation import CutRankings
from harness.metrics.boxes.left_out import LeftOut
from harness.metrics.boxes.matching import Ranking
from harness.metrics.boxes.without_one import precision_without

SAMPLES = 30


def ranking(true: list[bool], sample: list[int], objects: dict[int, int]) -> Ranking:
    """A ranking at one threshold in which every detection is counted."""
    hits = np.array([true])
    where, many = np.array([*objects]), np.array([*objects.values()])
    return Ranking(np.array(sample), np.zeros(len(sample), np.int64), hits, np.ones_like(hits), where, many)


def test_a_wrong_detection_that_goes_lifts_what_comes_after_it() -> None:
    one = ranking([True, False, True], [0, 1, 0], {0: 2})
    whole, without = precision_without(one, [0], np.array([2, 1]))[0]
    assert whole == pytest.approx((51 * 1 + 50 * 2 / 3) / 101), "51 of COCO's 101 recalls are up to .5"
    assert without == pytest.approx(1)


def test_without_none_of_the_samples_there_is_nothing_to_say() -> None:
    """Where no image informs a metric a jackknife asks for no sample."""
    left_out = LeftOut(CutRankings([ranking([True, False], [0, 1], {0: 2})]), np.array([], dtype=np.int64))
    assert left_out.objects.shape == (1, 0)
    assert left_out.precision(0, [0]).shape == (0,)
    assert left_out.found(100).shape == (1, 0)


@pytest.mark.parametrize("seed", range(20))
def test_it_equals_the_ranking_weighed_anew(seed: int) -> None:
    source = np.random.default_rng(seed)
    size, holders = int(source.integers(1, 300)), SAMPLES // 3
    sample = source.integers(0, SAMPLES if seed % 2 else SAMPLES // 2, size)
    likely = source.uniform(0, 1, (4, 1))
    true = (source.random((4, size)) < likely) & (sample < holders)
    counted = true | (source.random((4, size)) < 0.8)
    objects = np.maximum(1, np.bincount(sample, minlength=SAMPLES)[:holders])
    one = Ranking(sample, np.zeros(size, np.int64), true, counted, np.arange(holders), objects)
    left_out = np.arange(holders, SAMPLES)
    counts = np.ones((len(left_out), SAMPLES), np.int64)
    counts[np.arange(len(left_out)), left_out] = 0
    weighed = DrawnPrecision(CutRankings([one]), Draws(counts))
    expected = np.stack([weighed.precision(0, [place]) for place in range(4)])
    np.testing.assert_allclose(precision_without(one, range(4), left_out), expected, rtol=0, atol=1e-13)
