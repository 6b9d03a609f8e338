"""Percentiles only from enough queries, goodput with what was lost counted in, and the knee with its interval."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from scipy.stats import binom

from harness.measure.open_loop import ANSWERED, FAILED, LOST, Ending, Sent
from harness.stats.load_summary import LoadLimits, LoadRun, knee_of, percentile, quantile, summarize_load

LIMITS = LoadLimits(latency_s=0.1, share=0.9, lateness_s=0.001)


def queries(latencies: list[float], gap: float = 0.1) -> list[Sent]:
    return [Sent(gap * n, gap * n, gap * n + each, Ending()) for n, each in enumerate(latencies)]


@pytest.mark.parametrize(("fraction", "least"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_no_percentile_without_enough_queries(fraction: float, least: int) -> None:
    """MLPerf's floors: with so many, one query beyond is allowed with 99 % confidence (loadgen's early stopping)."""
    assert percentile([1.0] * (least - 1), fraction) is None
    assert percentile([1.0] * least, fraction) is not None
    if fraction > 0.5:  # the formula by another implementation
        assert binom.cdf(1, least, 1 - fraction) <= 0.01 < binom.cdf(1, least - 1, 1 - fraction)


def test_intervals_of_percentiles_hold_the_truth_as_often_as_they_say() -> None:
    draw, held = random.Random(5), 0
    for _ in range(400):
        found = percentile(sorted(draw.expovariate(1.0) for _ in range(200)), 0.9)
        assert found is not None and found.interval is not None
        held += found.interval[0] <= 2.302585 <= found.interval[1]  # ln 10
    assert held / 400 >= 0.93


def test_quantile_by_hand() -> None:
    ordered = [1.0, 2.0, 3.0, 4.0]
    assert [quantile(ordered, share) for share in (0.0, 0.25, 0.26, 0.5, 0.99, 1.0)] == [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]


def test_a_load_by_hand() -> None:
    sent = queries([0.05] * 6 + [0.2] * 2)
    sent += [
        Sent(0.8, 0.8, 0.81, Ending(FAILED, "status 500")),
        Sent(0.9, 0.9, 0.95, Ending(LOST, "connection refused")),
    ]
    run = summarize_load("server", 10.0, sent, LIMITS)
    assert (run.queries, run.answered, run.failed, run.missing, run.shed) == (10, 8, 1, 1, 0)
    assert run.seconds == 0.95 and run.goodput == pytest.approx(6 / 0.95) and run.throughput == pytest.approx(8 / 0.95)
    assert run.within.value == 0.6 and run.void == "" and run.percentiles["p90"] is None
    assert run.reasons == {"status 500": 1, "connection refused": 1}
    assert "1 of 10 queries have no answer (connection refused 1): those due from 0.9 s on" in run.lost


def test_answers_after_a_gap_are_told() -> None:
    endings = [Ending(), Ending(LOST, "connection broken"), Ending(LOST, "connection refused"), Ending()]
    sent = [Sent(float(n), float(n), n + 0.5, ending) for n, ending in enumerate(endings)]
    assert "from 1.0 s to 2.0 s; answers came again" in summarize_load("server", 1.0, sent, LIMITS).lost


def test_a_late_generator_voids_its_run() -> None:
    late = [replace(each, left=each.due + 0.002) for each in queries([0.05] * 20)]
    run = summarize_load("server", 10.0, late, LIMITS)
    assert "2.00 ms late at p99" in run.void and summarize_load("single", None, late, LIMITS).void == ""


def run_at(rate: float, good: int, total: int = 100, late: bool = False) -> LoadRun:
    sent = queries([0.05] * good + [0.5] * (total - good), 1 / rate)
    return summarize_load("server", rate, [replace(s, left=s.due + late) for s in sent], LIMITS)


def test_the_knee_and_its_interval() -> None:
    runs = [run_at(10, 100), run_at(20, 92), run_at(30, 60), run_at(40, 95), run_at(25, 0, late=True)]
    knee = knee_of(runs, LIMITS)
    assert (knee.rate, knee.low, knee.high) == (20, 10, 30)  # 92 of 100 is above .9, not surely so
    assert knee_of([run_at(10, 10)], LIMITS).rate is None and knee_of([run_at(10, 100)], LIMITS).high is None
    assert run_at(10, 100).answered == 100 and queries([0.1])[0].ending.outcome == ANSWERED
