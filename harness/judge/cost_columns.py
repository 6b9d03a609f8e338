"""What a model costs, as the columns of every table name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.record import Efficiency


@dataclass(frozen=True)
class CostColumn:
    """A cost: its heading, how it is read from what was measured, and how it is shown.

    `shown` ones stand in a page's table at once; `unit` is that of the raw number.
    """

    name: str
    read: Callable[[Efficiency], float | None]
    factor: float
    style: str
    unit: str
    shown: bool = True
    low: bool = True
    """Whether less is better."""

    def text(self, cost: Efficiency) -> str | None:
        """Show a cost with the unit of its column, None where it was not measured."""
        value = self.read(cost)
        return None if value is None else self.style.format(value * self.factor)


COSTS = (
    CostColumn("p50 latency", lambda cost: cost.latency_p50_seconds, 1e3, "{:.1f} ms", "seconds"),
    CostColumn("p95 latency", lambda cost: cost.latency_p95_seconds, 1e3, "{:.1f} ms", "seconds", shown=False),
    CostColumn(
        "throughput", lambda cost: cost.throughput_per_second, 1.0, "{:.0f}/s", "per second", shown=False, low=False
    ),
    CostColumn("peak memory", lambda cost: cost.peak_memory_bytes, 2**-20, "{:.0f} MiB", "bytes"),
    CostColumn("parameters", lambda cost: cost.parameters_total, 1e-6, "{:.2f} M", "count", shown=False),
    CostColumn("trained parameters", lambda cost: cost.parameters_trainable, 1e-6, "{:.2f} M", "count"),
    CostColumn("GFLOPs", lambda cost: cost.flops, 1e-9, "{:.3f}", "operations", shown=False),
    CostColumn("training time", lambda cost: cost.train_seconds, 1.0, "{:.1f} s", "seconds"),
)
