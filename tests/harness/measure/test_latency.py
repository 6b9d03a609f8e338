"""Latency: MLPerf's minimum runs, honest percentiles, and calls that are really made."""

from __future__ import annotations

import time

import pytest
from scipy.stats import binom

from harness.errors import UsageError
from harness.measure.latency import minimum_runs, summarize, time_calls
from harness.measure.throughput import time_throughput


@pytest.mark.parametrize(("percentile", "runs"), [(0.90, 64), (0.95, 130), (0.99, 662)])
def test_minimum_runs_are_those_of_mlperf(percentile: float, runs: int) -> None:
    assert minimum_runs(percentile) == runs


@pytest.mark.parametrize("percentile", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("misses", [0, 1, 3])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_minimum_runs_is_the_smallest_that_the_binomial_allows(
    percentile: float, misses: int, confidence: float
) -> None:
    runs = minimum_runs(percentile, confidence, misses)
    assert binom.cdf(misses, runs, 1 - percentile) <= 1 - confidence
    assert binom.cdf(misses, runs - 1, 1 - percentile) > 1 - confidence


def test_minimum_runs_refuses_a_percentage() -> None:
    with pytest.raises(ValueError, match="fraction"):
        minimum_runs(95)


def test_percentiles_appear_only_with_enough_runs() -> None:
    few, some, many = (summarize(1.0, [float(i) for i in range(1, n + 1)], 0) for n in (63, 130, 1000))
    assert (few.p50, few.p90, few.p95, few.p99) == (32.0, None, None, None)
    assert (some.p90, some.p95, some.p99) == (117.0, 124.0, None)
    assert (many.p50, many.p90, many.p95, many.p99) == (500.5, 900.0, 950.0, 990.0)
    assert many.iqr_over_median == pytest.approx(500 / 500.5)


def test_calls_are_made_as_often_as_asked_and_in_order() -> None:
    pauses = iter([0.05] + [0.0] * 100)
    summary = time_calls(lambda: time.sleep(next(pauses)), warmups=4, runs=11, device="cpu")
    assert summary.runs == 11
    assert summary.warmups == 4
    assert len(list(pauses)) == 101 - 4 - 11
    assert summary.first_seconds >= 0.05 > max(summary.seconds)


def test_a_known_pause_is_measured() -> None:
    summary = time_calls(lambda: time.sleep(0.01), warmups=1, runs=5, device="cpu")
    assert 0.01 <= summary.p50 < 0.05
    throughput = time_throughput(lambda: time.sleep(0.01), batch_size=4, runs=3, device="cpu")
    assert 80 < throughput.per_second <= 400
    assert throughput.batch_size == 4


@pytest.mark.parametrize(("warmups", "runs"), [(0, 0), (-1, 3)])
def test_nothing_to_time_is_a_usage_error(warmups: int, runs: int) -> None:
    with pytest.raises(UsageError, match="At least 1 run"):
        time_calls(lambda: None, warmups, runs, "cpu")
    with pytest.raises(UsageError, match="at least 1"):
        time_throughput(lambda: None, 0, 1, "cpu")
