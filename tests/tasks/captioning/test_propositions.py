"""Proposition scores from counts made by hand: ratios of sums, for the corpus, a sample and a resample."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.captioning.propositions import statistics_of_counts

COUNTS = np.array([[4, 2, 5, 2], [1, 1, 3, 1], [0, 0, 2, 0]], dtype=float)
"""Asserted, asserted and true, in the references, of these asserted; the last caption claims nothing."""


@pytest.mark.parametrize(
    ("kind", "value", "per_sample"),
    [
        ("precision", 3 / 5, [2 / 4, 1.0, 0.0]),
        ("recall", 3 / 10, [2 / 5, 1 / 3, 0.0]),
        ("F1", 2 * 0.6 * 0.3 / 0.9, [2 * 0.5 * 0.4 / 0.9, 2 * 1.0 * (1 / 3) / (4 / 3), 0.0]),
    ],
)
def test_the_scores_by_hand(kind: str, value: float, per_sample: list[float]) -> None:
    statistics = statistics_of_counts(COUNTS)[f"proposition-{kind}"]
    assert statistics.value == pytest.approx(value)
    assert statistics.per_sample == pytest.approx(per_sample)
    once = statistics.resample(np.array([[1, 1, 1], [0, 0, 3], [0, 3, 0]]))
    assert once == pytest.approx([value, 0.0, per_sample[1]])


def test_silence_scores_zero_and_is_no_error() -> None:
    silent = statistics_of_counts(np.array([[0.0, 0.0, 4.0, 0.0]]))["proposition-F1"]
    assert silent.value == 0.0
    assert np.isfinite(silent.per_sample).all()
