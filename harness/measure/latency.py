"""Latency of one call, and the percentiles that the number of timed calls can support.

A percentile is given only when the runs support it, by the rule of MLPerf's early stopping (Reddi et
al. 2020, arXiv 1911.02549; loadgen's `early_stopping`): if at most one run in n is allowed to be slower
than the percentile, n must be so large that this would happen with at most 1 % probability if the true
percentile were worse. Successive calls are correlated, so treat even these as a lower bound on runs.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle
from typing import Any

from harness.errors import UsageError
from harness.measure.device import synchronize
from harness.measure.reference_workload import Calibrated, calibrated

WARM_UP_SECONDS = 1.0
"""An accelerator warms up for so long at least: ten calls of a fast model are over before its clocks have risen."""


@dataclass(frozen=True)
class WarmUp:
    """How many untimed calls were made, and how many seconds they took."""

    calls: int
    seconds: float


@dataclass(frozen=True)
class LatencySummary:
    """Seconds of single calls after warm-up; `first_seconds` is the very first call, before warm-up.

    `warmups` were asked for and `warm_up` says what was done, the first call with it. `p90`, `p95` and `p99` are None
    when there were too few runs for them. `iqr_over_median` above 0.1 marks an unquiet machine (see
    `harness.measure.foreign_load`).
    """

    first_seconds: float
    seconds: tuple[float, ...]
    warmups: int
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    iqr_over_median: float
    calibrated: Calibrated | None = None
    warm_up: WarmUp = WarmUp(0, 0.0)

    @property
    def runs(self) -> int:
        """How many calls were timed."""
        return len(self.seconds)


@cache
def minimum_runs(percentile: float, confidence: float = 0.99, misses: int = 1) -> int:
    """Count the runs that a percentile needs: the least n with P(Binomial(n, 1 - p) <= misses) <= 1 - c.

    `percentile` and `confidence` are fractions in (0, 1).

    >>> [minimum_runs(p) for p in (0.90, 0.95, 0.99)]
    [64, 130, 662]
    """
    if not 0 < percentile < 1:
        raise ValueError(f"percentile must be a fraction between 0 and 1, not {percentile}")
    runs = misses + 1
    while _probability_of_at_most(misses, runs, 1 - percentile) > 1 - confidence:
        runs += 1
    return runs


def time_calls(
    call: Callable[[int], Any], warmups: int, runs: int, device: str, workload: Callable[[], Any] | None = None
) -> LatencySummary:
    """Time a call `runs` times after `warmups` untimed ones, each from idle device to idle device.

    The wall clock between two synchronisations is what a caller waits for: it holds the kernels and
    the Python between them, which CUDA events around the kernels alone would leave out. A calibration `workload`
    is timed before each call (see `harness.measure.reference_workload`).

    A call is given its number. Those that warm up have the first ones, over and over where an accelerator needs more
    calls than were asked for: which numbers are timed does not depend on its speed.
    """
    if runs < 1 or warmups < 0:
        raise UsageError(
            f"Latency was asked for with {runs} runs after {warmups} warm-ups. "
            "At least 1 run and 0 warm-ups are needed."
        )
    first = time_once(lambda: call(0), device)
    numbers = cycle(range(1, warmups) if warmups > 1 else (0,))
    rest = warm_up(lambda: call(next(numbers)), warmups - 1, device, 0.0 if warmups == 0 else WARM_UP_SECONDS)
    done = WarmUp(1 + rest.calls, first + rest.seconds)
    timed = range(max(warmups, 1), max(warmups, 1) + runs)
    if workload is None:
        return replace(summarize(first, [_time_number(call, n, device) for n in timed], warmups), warm_up=done)
    for _ in range(warmups):
        workload()
    pairs = [(time_once(workload, device), _time_number(call, n, device)) for n in timed]
    reference, seconds = zip(*pairs, strict=True)
    return replace(summarize(first, seconds, warmups), calibrated=calibrated(seconds, reference), warm_up=done)


def warm_up(call: Callable[[], Any], calls: int, device: str, seconds: float = WARM_UP_SECONDS) -> WarmUp:
    """Make so many untimed calls; on an accelerator go on until `seconds` have passed, each call being waited for."""
    made, started = 0, time.perf_counter()
    while made < calls or (device != "cpu" and time.perf_counter() - started < seconds):
        call()
        synchronize(device)
        made += 1
    return WarmUp(made, time.perf_counter() - started)


def summarize(first_seconds: float, seconds: Sequence[float], warmups: int) -> LatencySummary:
    """Reduce timed calls to percentiles, leaving out those that the number of runs cannot support."""
    ordered = sorted(seconds)
    median = statistics.median(ordered)
    lower, upper = _nearest_rank(ordered, 0.25), _nearest_rank(ordered, 0.75)
    return LatencySummary(
        first_seconds=first_seconds,
        seconds=tuple(seconds),
        warmups=warmups,
        p50=median,
        p90=_supported(ordered, 0.90),
        p95=_supported(ordered, 0.95),
        p99=_supported(ordered, 0.99),
        iqr_over_median=(upper - lower) / median if median > 0 else 0.0,
    )


def time_once(call: Callable[[], Any], device: str) -> float:
    """Return the wall seconds of one call, from an idle device to an idle device."""
    synchronize(device)
    started = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - started


def _time_number(call: Callable[[int], Any], number: int, device: str) -> float:
    return time_once(lambda: call(number), device)


def _supported(ordered: Sequence[float], percentile: float) -> float | None:
    return _nearest_rank(ordered, percentile) if len(ordered) >= minimum_runs(percentile) else None


def _nearest_rank(ordered: Sequence[float], percentile: float) -> float:
    """Take the smallest observed value that at least this fraction of runs does not exceed."""
    return ordered[max(math.ceil(percentile * len(ordered)) - 1, 0)]


def _probability_of_at_most(misses: int, runs: int, rate: float) -> float:
    return sum(math.comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(misses + 1))
