"""MLPerf's own load generator as the reference: floors of percentiles, percentiles, and latency from the schedule."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.measure.latency import minimum_runs
from harness.measure.open_loop import Ending, open_loop, poisson_times
from harness.stats.load_summary import quantile

loadgen: Any = pytest.importorskip("mlperf_loadgen")
Settings = Callable[[Any], object]


def summary_of(ask: Callable[[], object], settings: Settings, folder: Path) -> str:
    """Run loadgen's performance mode with a system that answers in the thread that asks; its summary."""

    def issue(samples: Any) -> None:
        for sample in samples:
            ask()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    wanted = loadgen.TestSettings()
    wanted.mode = loadgen.TestMode.PerformanceOnly
    wanted.min_duration_ms = 0
    settings(wanted)
    logs = loadgen.LogSettings()
    logs.enable_trace = False
    logs.log_output.outdir = str(folder)
    logs.log_output.copy_summary_to_stdout = False
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(4, 4, lambda samples: None, lambda samples: None)
    try:
        loadgen.StartTestWithLogSettings(system, library, wanted, logs)
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
    return (folder / "mlperf_log_summary.txt").read_text()


def single(queries: int, percentile: float) -> Settings:
    """One query after the other."""

    def settings(wanted: Any) -> None:
        wanted.scenario = loadgen.TestScenario.SingleStream
        wanted.single_stream_target_latency_percentile = percentile
        wanted.single_stream_expected_latency_ns = 1_000
        wanted.min_query_count = wanted.max_query_count = queries

    return settings


@pytest.mark.parametrize("percentile", [0.9, 0.95, 0.99])
def test_floors_of_percentiles_are_loadgens(percentile: float, tmp_path: Path) -> None:
    least = minimum_runs(percentile)
    said = [summary_of(lambda: None, single(number, percentile), tmp_path) for number in (least - 1, least)]
    assert f"Need to process at least {least} queries" in said[0], said
    assert f"Processed at least {least} queries" in said[1], said


def test_percentiles_are_loadgens(tmp_path: Path) -> None:
    """Latencies of 3 to 21 ms in turn, 3 ms apart: both must call the same one the 90th percentile of them, 21."""
    numbers, seconds = count(), list[float]()

    def ask() -> None:
        begun = time.perf_counter()
        time.sleep(0.003 * (1 + next(numbers) % 7))
        seconds.append(time.perf_counter() - begun)

    said = summary_of(ask, single(130, 0.9), tmp_path)
    found = re.search(r"90.00 percentile latency \(ns\) +: (\d+)", said)
    assert found is not None and len(seconds) == 130
    assert abs(int(found[1]) / 1e9 - quantile(sorted(seconds), 0.9)) < 0.0015


def test_a_stall_is_charged_to_all_that_were_due_meanwhile(tmp_path: Path) -> None:
    """One connection, a rate of 100 and 300 ms of silence: a mean of 22 ms over 200; a closed loop would say 2 ms."""

    def stalling() -> Callable[..., Ending]:
        numbers = count()

        def ask(number: int = 0) -> Ending:
            time.sleep(0.3 if next(numbers) == 0 else 0.0)
            return Ending()

        return ask

    def settings(wanted: Any) -> None:
        wanted.scenario = loadgen.TestScenario.Server
        wanted.server_target_qps = 100
        wanted.server_target_latency_ns = 10**9
        wanted.min_query_count = wanted.max_query_count = 200

    said = re.search(r"Mean latency \(ns\) +: (\d+)", summary_of(stalling(), settings, tmp_path))
    assert said is not None
    sent = open_loop(stalling(), poisson_times(100.0, 2.0, seed=1), most_at_once=1)
    own = sum(each.latency for each in sent) / len(sent)
    assert 0.012 < int(said[1]) / 1e9 < 0.04 and 0.012 < own < 0.04
