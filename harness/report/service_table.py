"""What services that answered for models cost, and what a probe found of them: a table of its own.

Their latency is that of a service under so many requests at once, over a network: it stands beside no latency that was
measured on a machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.judge.leaderboard import Row
from harness.report.tables.table import EXTRA, Table, TableCell, TableColumn, TableRow, name_column, text_column

_COLUMNS = (
    text_column("reads images", importance=90, name="reads_image"),
    text_column("deterministic", importance=88, name="deterministic"),
    text_column("log-probabilities", importance=60, name="log_probabilities"),
    text_column("order of options", importance=58, name="order"),
    TableColumn("latency_p50", "p50 a request", "cost", "seconds", "{:.2f} s", direction=-1, importance=86),
    TableColumn("latency_p95", "p95 a request", "cost", "seconds", "{:.2f} s", direction=-1, importance=EXTRA),
    TableColumn("concurrency", "at once", "cost", "requests", "{:.1f}", importance=84),
    TableColumn("throughput", "requests/s", "cost", "per second", "{:.1f}", importance=EXTRA),
    TableColumn("asked", "requests", "cost", "count", "{:.0f}", importance=56),
    TableColumn("cached", "from the cache", "cost", "count", "{:.0f}", importance=EXTRA),
    TableColumn("retries", "retries", "cost", "count", "{:.0f}", importance=EXTRA),
    TableColumn("prompt_tokens", "tokens in", "cost", "count", "{:.0f}", importance=54),
    TableColumn("completion_tokens", "tokens out", "cost", "count", "{:.0f}", importance=53),
    TableColumn("cost", "cost", "cost", "as priced", "{:.4f}", importance=82),
)


def service_table(rows: Sequence[Row]) -> Table | None:
    """One line a row that a service answered; None where there is none."""
    served = [row for row in rows if row.service]
    if not served:
        return None
    known = [_values(row.service) for row in served]
    columns = [column for column in _COLUMNS if any(values[column.name] is not None for values in known)]
    lines = [
        TableRow((TableCell(row.model, word=row.name), *(_cell(values[c.name]) for c in columns)), key=row.name)
        for row, values in zip(served, known, strict=True)
    ]
    return Table("services", "Services", (name_column("answered by a service"), *columns), tuple(lines), _notes(served))


def _values(service: Mapping[str, Any]) -> dict[str, float | str | None]:
    probe, requests = service.get("probe", {}), service.get("requests", {})
    latency, tokens = service.get("latency", {}), service.get("tokens", {})
    return {
        "reads_image": probe.get("reads_image"),
        "deterministic": probe.get("deterministic"),
        "log_probabilities": probe.get("log_probabilities"),
        "order": probe.get("order"),
        "latency_p50": latency.get("p50_seconds"),
        "latency_p95": latency.get("p95_seconds"),
        "concurrency": latency.get("concurrency"),
        "throughput": latency.get("requests_per_second"),
        "asked": requests.get("asked"),
        "cached": requests.get("cached"),
        "retries": requests.get("retries"),
        "prompt_tokens": tokens.get("prompt"),
        "completion_tokens": tokens.get("completion"),
        "cost": (service.get("cost") or {}).get("total"),
    }


def _cell(value: float | str | None) -> TableCell:
    return TableCell(word="–") if value is None else TableCell(value)


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Say what latencies are of, and what each probe remarked."""
    how = "a service's latency is that of one request among those at once, with the network: no rank by it"
    remarks = [f"{row.name}: {remark}" for row in rows for remark in row.service.get("probe", {}).get("remarks", ())]
    return (how, *remarks)
