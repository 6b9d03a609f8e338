"""What a metric is: its name, title and unit, which way it is read, who proposed it, and inputs of known value.

Metrics are found by entry point (`bench.metrics`): a `Metric`, or a tuple of them. A module that offers one must be
cheap to import: numpy and its kin belong inside the functions that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.errors import BenchError

UP, DOWN = "↑", "↓"
"""Behind a metric's name: more, or less, is better."""


class MetricDrift(BenchError):
    """A metric that does not give its known value for golden inputs."""


class HasValue(Protocol):
    """Statistics of a metric (`harness.stats.resampling.Statistics`), as far as golden inputs need them."""

    @property
    def value(self) -> float | None:
        """The metric over all samples."""
        ...


@dataclass(frozen=True)
class Golden:
    """Inputs of a metric and what it gives for them, by name of the metric: several may be computed of one input."""

    inputs: Any
    scores: Mapping[str, float]
    tolerance: float = 1e-9
    name: str = "golden"


@dataclass(frozen=True)
class Metric:
    """One metric.

    `compute` takes inputs and returns statistics by name, of this metric and of others that come with it; None
    marks one that is not defined or cannot be computed here. With `answers`, a kind of `harness.answers`, its
    inputs are `harness.metrics.answered.Answered`, and the harness computes it on every task of that kind; without,
    it is computed by the scorer of a task that names it. `lowest` and `highest` are its range, None where it has no
    end; `higher_is_better` is None where neither end is better, as of what chance alone would give. `reference`
    names author, year and where; a plain count says how it is defined ("definition: …"). `each_condition`: of a
    task's metrics, whether it is kept under each condition of a robustness run; those with `answers` always are.
    `together` is the title of a table in which metrics of that title stand side by side, with all their intervals,
    and not among the columns of the leaderboard: for such as can only be read together.
    """

    name: str
    title: str
    higher_is_better: bool | None
    reference: str
    compute: Callable[[Any], Mapping[str, HasValue | None]]
    golden: tuple[Golden, ...]
    unit: str = ""
    lowest: float | None = 0.0
    highest: float | None = 1.0
    answers: str | None = None
    each_condition: bool = False
    together: str = ""

    @property
    def arrow(self) -> str:
        """↑ where more is better, ↓ where less is, nothing where neither is."""
        return {True: UP, False: DOWN, None: ""}[self.higher_is_better]

    @property
    def direction(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither is."""
        return {True: 1, False: -1, None: 0}[self.higher_is_better]

    @property
    def is_share(self) -> bool:
        """Whether it lies in 0..1, so that 1 - value is an error."""
        return (self.lowest, self.highest) == (0.0, 1.0)

    def better(self, difference: float) -> str:
        """Say what a change or lead of so much is: better or worse; higher or lower where the metric has no direction.

        >>> metric = Metric("ECE", "calibration error", False, "", dict, ())
        >>> metric.better(0.1), metric.better(-0.1)
        ('worse', 'better')
        """
        if self.higher_is_better is None:
            return "higher" if difference > 0 else "lower"
        return "better" if (difference > 0) == self.higher_is_better else "worse"


def of_cases(name: str, cases: Iterable[Golden]) -> tuple[Golden, ...]:
    """Those of some cases that know the value of a metric."""
    return tuple(case for case in cases if name in case.scores)


def check_golden(seen: Mapping[str, HasValue | None], case: Golden, *, absent: bool = False) -> None:
    """Compare what was computed of a golden case with what is known; raises MetricDrift at the first that differs.

    With `absent`, one that is None passes: it could not be computed here.
    """
    for name, known in case.scores.items():
        statistics = seen.get(name)
        if statistics is None and absent:
            continue
        value = None if statistics is None or statistics.value is None else float(statistics.value)
        if value is None or not abs(value - known) <= case.tolerance:
            raise MetricDrift(
                f"{name} gives {value!r} instead of {known!r} on the golden case '{case.name}'. Scores would not be "
                "comparable: restore the installed versions with `uv sync`, or mend the metric."
            )


def check_metrics(metrics: Iterable[Metric]) -> None:
    """Compute golden cases, each once though several metrics share it; raises MetricDrift."""
    done: set[tuple[int, int]] = set()
    for metric in metrics:
        for case in metric.golden:
            if (id(metric.compute), id(case)) not in done:
                done.add((id(metric.compute), id(case)))
                check_golden(metric.compute(case.inputs), case)
