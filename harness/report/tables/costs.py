"""What a model costs, as the columns of every table show it; names are the fields of `harness.record.Efficiency`."""

from __future__ import annotations

from harness.record import Efficiency
from harness.report.tables.table import EXTRA, Origin, TableCell, TableColumn

LATENCY = TableColumn(
    "latency_p50_seconds", "p50 latency", "cost", "seconds", "{:.1f} ms", 1e3, direction=-1, importance=70
)
MEMORY = TableColumn(
    "peak_memory_bytes", "peak memory", "cost", "bytes", "{:.0f} MiB", 2**-20, direction=-1, importance=68
)
MEMORY_ADDED = TableColumn(
    "memory_added_bytes", "memory added", "cost", "bytes", "{:.1f} MiB", 2**-20, direction=-1, importance=57
)
ENERGY = TableColumn("energy_joules", "energy", "cost", "joules", "{:.3g} J", direction=-1, importance=56)
COSTS = (
    LATENCY,
    TableColumn("latency_p95_seconds", "p95 latency", "cost", "seconds", "{:.1f} ms", 1e3, -1, EXTRA),
    TableColumn("throughput_per_second", "throughput", "cost", "per second", "{:.0f}/s", importance=EXTRA),
    MEMORY,
    MEMORY_ADDED,
    ENERGY,
    TableColumn("parameters_total", "parameters", "cost", "count", "{:.2f} M", 1e-6, -1, EXTRA),
    TableColumn("parameters_trainable", "trained parameters", "cost", "count", "{:.2f} M", 1e-6, -1, 55),
    TableColumn("flops", "GFLOPs", "cost", "operations", "{:.3f}", 1e-9, -1, EXTRA),
    TableColumn("train_seconds", "training time", "cost", "seconds", "{:.1f} s", 1.0, -1, 53),
)


def cost_cell(column: TableColumn, cost: Efficiency, key: str = "") -> TableCell:
    """Make the cell of one of `COSTS`; `key` is the id of the row on a page."""
    value = getattr(cost, column.name)
    if value is None:
        return TableCell(word="–")
    return TableCell(value, origin=Origin(column.title, (key,)) if key else None)
