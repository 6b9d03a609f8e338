"""Latency: MLPerf's minimum runs, honest percentiles, and calls that are really made."""

from __future__ import annotations

import time

import pytest
from scipy.stats import binom

from harness.errors import UsageError
from harness.measure import latency
from harness.measure.latency import minimum_runs, summarize, time_calls, warm_up
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
    summary = time_calls(lambda _: time.sleep(next(pauses)), warmups=4, runs=11, device="cpu")
    assert summary.runs == 11
    assert summary.warmups == 4
    assert len(list(pauses)) == 101 - 4 - 11
    assert summary.first_seconds >= 0.05 > max(summary.seconds)


def test_a_known_pause_is_measured() -> None:
    summary = time_calls(lambda _: time.sleep(0.01), warmups=1, runs=5, device="cpu")
    assert 0.01 <= summary.p50 < 0.05
    throughput = time_throughput(lambda: time.sleep(0.01), batch_size=4, runs=3, device="cpu")
    assert 80 < throughput.per_second <= 400
    assert throughput.batch_size == 4


@pytest.mark.parametrize(("warmups", "runs"), [(0, 0), (-1, 3)])
def test_nothing_to_time_is_a_usage_error(warmups: int, runs: int) -> None:
    with pytest.raises(UsageError, match="At least 1 run"):
        time_calls(lambda _: None, warmups, runs, "cpu")
    with pytest.raises(UsageError, match="at least 1"):
        time_throughput(lambda: None, 0, 1, "cpu")


class Clock:
    """A clock that only calls move forward: a quarter of a second each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.numbers, self.waits = 0.0, list[int](), 0
        monkeypatch.setattr(latency.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(latency, "synchronize", self.wait)

    def wait(self, device: str) -> None:
        self.waits += 1

    def call(self, number: int = 0) -> None:
        self.now += 0.25
        self.numbers.append(number)


@pytest.mark.parametrize(
    ("device", "warmups", "wanted", "seconds"),
    [
        ("cpu", 2, [0, 1], 0.5),
        ("cuda:0", 2, [0, 1, 1, 1, 1], 1.25),  # the first call, whose seconds are compilation, and then a second
        ("cuda:0", 3, [0, 1, 2, 1, 2], 1.25),
        ("cuda:0", 7, [0, 1, 2, 3, 4, 5, 6], 1.75),
        ("cuda:0", 1, [0, 0, 0, 0, 0], 1.25),
        ("cuda:0", 0, [0], 0.25),
    ],
)
def test_an_accelerator_warms_up_for_a_second_and_the_same_calls_are_timed(
    device: str, warmups: int, wanted: list[int], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    summary = time_calls(clock.call, warmups, 3, device)
    first = max(warmups, 1)
    assert clock.numbers == [*wanted, first, first + 1, first + 2]
    assert (summary.warm_up.calls, summary.warm_up.seconds) == (len(wanted), seconds)
    assert (summary.seconds, summary.warmups) == ((0.25, 0.25, 0.25), warmups)


@pytest.mark.parametrize(("device", "calls"), [("cpu", 1), ("cuda:0", 4)])
def test_a_batch_warms_up_too(device: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    throughput = time_throughput(clock.call, batch_size=8, runs=3, device=device)
    assert (throughput.per_second, throughput.warm_up.calls) == (32.0, calls)
    assert len(clock.numbers) == calls + 3


def test_each_call_of_a_warm_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a queue of thousands would be there when the clock starts."""
    clock = Clock(monkeypatch)
    assert warm_up(clock.call, 2, "cuda:0").calls == clock.waits == 4
