from __future__ import annotations

import numpy as np
import pytest

from harness.judge.robustness.paired import paired_drop, paired_mean, paired_ratio
from harness.stats.intervals import paired_difference
from harness.stats.propagation import Figure, mean_of
from harness.stats.resampling import MeanStatistics


def scores(cells: int = 6, samples: int = 400, seed: int = 0) -> np.ndarray:
    """Right or wrong [cells, samples], correlated over the cells by how hard a sample is."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=samples)
    return (ease + rng.normal(size=(cells, samples)) > 0).astype(np.float64)


def test_the_mean_and_its_interval_against_a_loop() -> None:
    cells = scores()
    found = paired_mean(cells)
    rng = np.random.default_rng(1)
    drawn = [cells[:, rng.integers(0, 400, 400)].mean() for _ in range(2000)]
    assert found.value == pytest.approx(cells.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.004)


def test_it_is_narrower_than_full_correlation_allows() -> None:
    cells = scores()
    each = [paired_mean(row[None]) for row in cells]
    bound, found = mean_of([Figure(f.value, f.low, f.high) for f in each]), paired_mean(cells)
    assert (found.high or 0) - (found.low or 0) < (bound.high or 0) - (bound.low or 0)
    assert bound.value == pytest.approx(found.value)
    same = np.repeat(cells[:1], 6, axis=0)
    assert paired_mean(same) == each[0], "equal cells are one cell"


def test_ratio_and_drop() -> None:
    cells, clean = scores(), np.ones(400)
    clean[:80] = 0
    found = paired_ratio(cells, clean)
    assert found.value == pytest.approx(cells.mean() / 0.8)
    assert found.low is not None and found.high is not None and found.low < found.value < found.high
    peer = paired_difference(MeanStatistics(clean), MeanStatistics(cells[0]))
    lost = paired_drop(clean, cells[0])
    assert (lost.value, lost.low, lost.high) == pytest.approx((peer.difference, peer.low, peer.high))
    nothing = paired_drop(cells[0], cells[0])
    assert (nothing.value, nothing.low, nothing.high) == (0.0, None, None), "where nothing varies nothing is certain"


def test_groups_are_drawn_together() -> None:
    cells = np.repeat(scores(2, 40), 10, axis=1)
    groups = np.repeat(np.arange(40), 10).tolist()
    alone, together = paired_mean(cells), paired_mean(cells, groups=groups)
    assert (together.high or 0) - (together.low or 0) > 2 * ((alone.high or 0) - (alone.low or 0))


def test_degenerate_arrays() -> None:
    assert "not above 0" in str(paired_ratio(np.ones((2, 3)), np.zeros(3)).reason)
    with pytest.raises(ValueError, match="cells, samples"):
        paired_mean(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="NaN"):
        paired_mean(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="same samples"):
        paired_drop(np.zeros(3), np.zeros(4))


def test_few_samples_expand_the_percentiles_as_everywhere() -> None:
    """Of 10 samples Student's t is 2.262, and sqrt(10 / 9) more: not the plain 1.96 deviations of resamples."""
    draw, held, rounds = np.random.default_rng(5), 0, 400
    for _ in range(rounds):
        found = paired_mean(draw.normal(size=(3, 10)), resamples=200)
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / rounds <= 0.98, "with plain percentiles 0.90"
    one = paired_mean(np.ones((2, 1)))
    assert (one.value, one.low, one.high) == (1.0, None, None)
