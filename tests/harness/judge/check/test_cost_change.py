"""Changes of latency and memory."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from harness.judge.check.cost_change import latency_changes, memory_changes
from harness.judge.check.measured import Latency


def timed(row, ratio, spread=0.0, **fields):
    blocks = tuple(ratio * math.exp(spread * s) for s in (-1.0, 1.0, -1.0, 1.0))
    return replace(row, latency=Latency(ratio, blocks, 1, **fields))


def test_one_row_alone_by_hand(measured):
    """log(1.3) = 0.2624; error 0.06 for too few rows; 12 degrees of freedom."""
    (change,) = latency_changes([[(timed(measured(), 2.0), timed(measured(), 2.6))]])
    assert (change.before, change.now) == (2.0, pytest.approx(2.6))
    assert change.loss == pytest.approx(0.3)
    assert change.p == pytest.approx(2 * scipy.stats.t.sf(math.log(1.3) / 0.06, 12))
    reach = scipy.stats.t.ppf(0.975, 12) * 0.06
    assert (change.low, change.high) == pytest.approx((1.3 * math.exp(-reach) - 1, 1.3 * math.exp(reach) - 1))


def test_blocks_that_spread_widen_the_error_by_hand(measured):
    """Four blocks at +-0.3: variance 0.12, of their mean 0.03, on one side; times 1.2533 for a median."""
    (change,) = latency_changes([[(timed(measured(), 2.0), timed(measured(), 2.6, spread=0.3))]])
    error = math.hypot(0.06, 1.2533 * math.sqrt(0.03))
    assert change.p == pytest.approx(2 * scipy.stats.t.sf(math.log(1.3) / error, 12))


def test_seeds_are_averaged(measured):
    pairs = [
        (timed(measured(seed=s), 2.0), timed(measured(seed=s), 2.0 * factor)) for s, factor in ((0, 1.2), (1, 1.5))
    ]
    (change,) = latency_changes([pairs])
    assert change.loss == pytest.approx(math.sqrt(1.2 * 1.5) - 1)
    assert change.now / change.before == pytest.approx(math.sqrt(1.2 * 1.5))


def test_seeds_timed_on_a_crowded_machine_are_left_out(measured):
    crowded = timed(measured(seed=1), 9.0, crowding=0.2)
    pairs = [(timed(measured(), 2.0), timed(measured(), 2.6)), (timed(measured(seed=1), 2.0), crowded)]
    assert latency_changes([pairs]) == latency_changes([pairs[:1]])


def rows(measured, deviation, count=40, seed=0):
    logs = np.random.default_rng(seed).normal(0, deviation, count)
    return [[(timed(measured(f"m{n}"), 2.0), timed(measured(f"m{n}"), 2.0 * math.exp(x)))] for n, x in enumerate(logs)]


def test_a_table_that_strays_more_asks_for_more(measured):
    """The same 30 % among rows that stray by 2 %, and by 20 %."""
    planted = [(timed(measured("p"), 2.0), timed(measured("p"), 2.6))]
    quiet, busy = (latency_changes([*rows(measured, d), planted])[-1] for d in (0.02, 0.2))
    assert quiet.p < 1e-6
    assert busy.p > 0.1
    assert busy.high > quiet.high


def test_many_changed_rows_do_not_hide_each_other(measured):
    planted = [[(timed(measured(f"p{n}"), 2.0), timed(measured(f"p{n}"), 2.8))] for n in range(12)]
    found = latency_changes([*rows(measured, 0.02), *planted])[-12:]
    assert max(change.p for change in found) < 1e-5


def test_everything_slower_is_seen(measured):
    whole = rows(measured, 0.02)
    slow = [[(before, timed(now, now.latency.ratio * 1.4))] for ((before, now),) in whole]
    assert max(change.p for change in latency_changes(slow)) < 1e-5


def test_equal_rows_are_no_error(measured):
    assert {change.p for change in latency_changes(rows(measured, 0.0))} == {1.0}
    assert {change.p for change in memory_changes(rows(measured, 0.0))} == {1.0}


def test_memory_by_hand(measured):
    now = measured(memory_bytes=720 * 2**20)
    (change,) = memory_changes([[(measured(), now)]])
    assert (change.before, change.now, change.loss) == (600.0, pytest.approx(720.0), pytest.approx(0.2))
    assert change.p == pytest.approx(2 * scipy.stats.t.sf(math.log(1.2) / 0.03, 7))


@pytest.mark.parametrize(
    ("before", "now", "note"),
    [
        ({}, {"machine": "another"}, "other hardware: a machine before, another now"),
        ({"latency": None}, {}, "not measured before"),
        ({}, {"latency": None}, "not measured now"),
        ({}, {"latency": Latency(2.0, (2.0,), 2)}, "calibration workload 1 before, 2 now"),
        ({}, {"latency": Latency(9.0, (9.0,) * 8, 1, crowding=0.2)}, "others kept the machine busy now"),
        ({"latency": Latency(9.0, (9.0,) * 8, 1, crowding=0.2)}, {}, "others kept the machine busy before"),
    ],
)
def test_what_cannot_be_compared_says_why(before, now, note, measured):
    (change,) = latency_changes([[(measured(**before), measured(**now))]])
    assert (change.p, change.loss, change.note, change.missing) == (None, None, note, False)


def test_memory_is_not_compared_across_hardware_either(measured):
    (change,) = memory_changes([[(measured(), measured(machine="another"))]])
    assert change.note.startswith("other hardware")
