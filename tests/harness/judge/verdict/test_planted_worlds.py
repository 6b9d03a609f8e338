"""Verdicts in simulated studies of which the truth is known: rarely false, and found where there is much to find.

`python -m tests.benchmarks.bench_verdicts` does the same over 500 studies a world; docs/statistics.md has its figures.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harness.judge.verdict.verdict import NOT_SUPPORTED, SUPPORTED
from tests.benchmarks.bench_verdicts import LADDER, Planted, quality_for, study

STUDIES = 25
GAIN = 0.1
"""About twice what one comparison of five seeds and 1,000 samples finds in 4 of 5 cases."""


def outcomes(planted: Planted, seed: int) -> Counter[str]:
    source = np.random.default_rng(seed)
    return Counter(study(planted, source).outcome for _ in range(STUDIES))


@pytest.mark.parametrize("control", ["C0", "C2"])
def test_a_gain_that_a_control_shares_is_rarely_supported(control: str) -> None:
    """At a rate of 2.5 % four or more of 25 have a chance of 0.4 %."""
    assert outcomes(Planted(control, GAIN, {control: 0.0}), 1)[SUPPORTED] < 4


def test_a_gain_over_all_controls_is_found_and_never_denied() -> None:
    found = outcomes(Planted("gain", GAIN), 2)
    assert found[SUPPORTED] >= 20 and found[NOT_SUPPORTED] == 0


def test_a_loss_is_found_and_never_a_gain() -> None:
    found = outcomes(Planted("loss", -GAIN), 3)
    assert found[NOT_SUPPORTED] >= 20 and found[SUPPORTED] == 0


def test_the_planted_gain_is_the_true_one() -> None:
    """Against the mean over many draws, of a second way: right answers counted."""
    source = np.random.default_rng(0)
    hardness = np.hypot(1.5, 0.1) * source.standard_normal(400_000)
    score = [float(np.mean(1 / (1 + np.exp(-(quality_for(gain) + hardness))))) for gain in (0.0, GAIN)]
    assert score[0] - score[1] == pytest.approx(GAIN, abs=1e-3)
    assert LADDER == ("C0", "C1", "C2", "C3", "C4")
