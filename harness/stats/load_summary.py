"""What a load says: percentiles that its queries support, goodput at a latency limit, and where it breaks.

Percentiles need as many queries as MLPerf's early stopping asks for (`harness.measure.latency.minimum_runs`); their
intervals are of order statistics (Hahn & Meeker 1991, ch. 5): no shape of latencies is assumed, independence is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.measure.latency import minimum_runs
from harness.measure.open_loop import ANSWERED, FAILED, LOST, SHED, Sent
from harness.record import Estimate
from harness.stats.intervals import wilson

PERCENTILES = (0.50, 0.90, 0.95, 0.99, 0.999)
_LEAST_FOR_MEDIAN = 11


@dataclass(frozen=True)
class LoadLimits:
    """`latency_s` a query may take; `share` of them that must keep to it; `lateness_s` at p99 that voids a run."""

    latency_s: float = 0.1
    share: float = 0.99
    lateness_s: float = 0.001


@dataclass(frozen=True)
class LoadRun:
    """One load at one rate (None: closed loop); latencies and lateness in seconds.

    `percentiles` are None where there were too few queries for them. `within` is the share of all queries that were
    answered within the limit, `goodput` how many of them a second. `void` says why nothing of it counts, "" where it
    does. `lost` says when and why queries had no answer, "" where all had one.
    """

    scenario: str
    rate: float | None
    seconds: float
    queries: int
    answered: int
    shed: int
    failed: int
    missing: int
    throughput: float
    goodput: float
    within: Estimate
    percentiles: dict[str, Estimate | None]
    lateness_p99: float | None
    void: str
    lost: str
    reasons: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        found = {name: None if each is None else each.to_json() for name, each in self.percentiles.items()}
        return {**asdict(self), "within": self.within.to_json(), "percentiles": found}


@dataclass(frozen=True)
class Knee:
    """The highest rate at which the share within the limit is kept; None where no rate shows it.

    It lies between `low`, the highest rate that keeps it with 95 % confidence, and `high`, the lowest that does not.
    """

    rate: float | None
    low: float | None
    high: float | None


def summarize_load(scenario: str, rate: float | None, sent: Sequence[Sent], limits: LoadLimits) -> LoadRun:
    """Reduce a load to what it says; a query without an answer is one that was not within the limit."""
    counts = Counter(each.ending.outcome for each in sent)
    answered = [each for each in sent if each.ending.outcome == ANSWERED]
    good = sum(each.latency <= limits.latency_s for each in answered)
    seconds = max(each.done for each in sent) - min(0.0 if rate else each.due for each in sent)
    low, high = wilson(good, len(sent))
    lateness = None if rate is None else quantile(sorted(each.lateness for each in sent), 0.99)
    latencies = sorted(each.latency for each in answered)
    return LoadRun(
        scenario=scenario,
        rate=rate,
        seconds=seconds,
        queries=len(sent),
        answered=len(answered),
        shed=counts[SHED],
        failed=counts[FAILED],
        missing=counts[LOST],
        throughput=len(answered) / seconds,
        goodput=good / seconds,
        within=Estimate(good / len(sent), low, high, len(sent)),
        percentiles={f"p{100 * p:g}": percentile(latencies, p) for p in PERCENTILES},
        lateness_p99=lateness,
        void=_void(lateness, limits),
        lost=_lost(sent),
        reasons=dict(Counter(each.ending.reason for each in sent if each.ending.reason)),
    )


@dataclass(frozen=True)
class LoadReport:
    """The runs of a load, and the knee where there were several rates."""

    target: str
    runs: tuple[LoadRun, ...]
    knee: Knee | None
    limits: LoadLimits

    @property
    def stands(self) -> bool:
        """Whether no run is void and no query was lost or failed."""
        return not any(run.void or run.missing or run.failed for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {
            "target": self.target, "limits": asdict(self.limits), "runs": [run.to_json() for run in self.runs],
            "knee": None if self.knee is None else asdict(self.knee),
        }  # fmt: skip


def knee_of(runs: Sequence[LoadRun], limits: LoadLimits) -> Knee:
    """Find the knee among runs at several rates; void ones count for nothing.

    Where a rate that keeps the limit lies above one that does not, the lower one ends the search: beyond a knee chance
    may help once.
    """
    valid = sorted((run for run in runs if not run.void and run.rate is not None), key=lambda run: run.rate or 0.0)
    best = low = high = None
    for run in valid:
        if run.within.value < limits.share:
            break
        best = run.rate
        if run.within.low is not None and run.within.low >= limits.share:
            low = run.rate
    for run in valid:
        if run.within.high is not None and run.within.high < limits.share:
            high = run.rate
            break
    return Knee(best, low, high)


def percentile(ordered: Sequence[float], fraction: float) -> Estimate | None:
    """Give a percentile of ascending values with its 95 % interval; None where there are too few for it."""
    count = len(ordered)
    least = _LEAST_FOR_MEDIAN if fraction == 0.5 else minimum_runs(fraction)
    if count < least:
        return None
    from scipy.stats import binom

    low = max(int(binom.ppf(0.025, count, fraction)), 1)
    high = min(int(binom.ppf(0.975, count, fraction)) + 1, count)
    return Estimate(quantile(ordered, fraction), ordered[low - 1], ordered[high - 1], count)


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """Take the smallest of ascending values that at least this fraction does not exceed."""
    return ordered[max(math.ceil(fraction * len(ordered)) - 1, 0)]


def _void(lateness: float | None, limits: LoadLimits) -> str:
    if lateness is None or lateness <= limits.lateness_s:
        return ""
    return (
        f"the generator was {1000 * lateness:.2f} ms late at p99, above {1000 * limits.lateness_s:g} ms: it measures "
        "itself, not the server"
    )


def _lost(sent: Sequence[Sent]) -> str:
    gone = [each for each in sent if each.ending.outcome == LOST]
    if not gone:
        return ""
    reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(each.ending.reason for each in gone).most_common(3))
    first, last = gone[0], gone[-1]
    answered_after = sum(each.ending.outcome == ANSWERED and each.due > last.due for each in sent)
    until = (
        f"to {last.due:.1f} s; answers came again after" if answered_after else "on, and none was answered after that"
    )
    began = f"those due from {first.due:.1f} s {until}"
    return f"{len(gone)} of {len(sent)} queries have no answer ({reasons}): {began}"
