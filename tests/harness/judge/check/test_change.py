"""What a change is called, over the whole table."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.errors import UsageError
from harness.judge.check.change import (  # fmt: skip
    ACCURACY,
    IMPROVED,
    INCONCLUSIVE,
    LATENCY,
    MEMORY,
    MISSING,
    REGRESSED,
    UNCHANGED,
    Change,
    Limits,
    judge_change,
)


def change(kind=ACCURACY, loss=0.0, p=1.0, reach=0.01, missing=False):
    interval = (None, None, None) if p is None else (loss, loss - reach, loss + reach)
    return Change("t", "m", kind, "x", 0.5, 0.5, *interval, p, missing=missing)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (change(loss=0.05, p=0.009), REGRESSED),
        (change(loss=-0.05, p=0.009), IMPROVED),
        (change(loss=0.02, p=0.02), UNCHANGED),  # not sure of it, and 0.05 is excluded
        (change(loss=0.02, p=0.02, reach=0.04), INCONCLUSIVE),  # 0.05 is not excluded
        (change(loss=0.004, p=1e-9, reach=0.001), UNCHANGED),  # sure, but below half a point
        (change(p=None), INCONCLUSIVE),
        (change(p=None, missing=True), MISSING),
        (change(LATENCY, 0.09, 1e-9, 0.02), UNCHANGED),  # sure, but below a tenth
        (change(LATENCY, 0.12, 1e-9, 0.02), REGRESSED),
        (change(LATENCY, 0.12, 0.5, 0.3), INCONCLUSIVE),
        (change(MEMORY, 0.06, 1e-9, 0.02), REGRESSED),
        (change(MEMORY, -0.06, 1e-9, 0.02), IMPROVED),
    ],
)
def test_an_outcome(row, outcome):
    assert judge_change([row], Limits())[0].outcome == outcome


def test_false_discovery_is_bounded_over_the_table():
    """0.002 in a table of 10 is 0.02 adjusted; five such rows are 0.004."""
    alone = judge_change([change(loss=0.1, p=0.002, reach=0.2), *[change()] * 9], Limits())
    assert (alone[0].outcome, alone[0].adjusted_p) == (INCONCLUSIVE, pytest.approx(0.02))
    five = judge_change([*[change(loss=0.1, p=0.002)] * 5, *[change()] * 5], Limits())
    assert [row.outcome for row in five] == [REGRESSED] * 5 + [UNCHANGED] * 5
    assert five[0].adjusted_p == pytest.approx(0.004)


def test_adjusted_p_is_scipys_and_rows_without_p_do_not_count():
    p = np.random.default_rng(0).uniform(size=30) ** 3
    table = [change(p=value) for value in p]
    table.insert(4, change(p=None))
    adjusted = [row.adjusted_p for row in judge_change(table, Limits())]
    assert adjusted.pop(4) is None
    assert adjusted == pytest.approx(scipy.stats.false_discovery_control(p))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"false_discovery": 0.0}, "--false-discovery 0.0: give a share between 0 and 1"),
        ({"false_discovery": float("nan")}, "--false-discovery nan"),
        ({"most_points": 0.001}, "--drop 0.001: give 0.005 or more"),
        ({"most_slower": 0.05}, "--slower 0.05: give 0.1 or more"),
        ({"most_larger": float("inf")}, "--larger inf: give 0.05 or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, message):
    with pytest.raises(UsageError, match=message):
        Limits(**limits)
