"""What a cell leaves behind: an immutable record with a schema version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and the count of samples behind it."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Efficiency:
    """What a model costs; seconds, bytes and counts. None where nothing supports the number.

    A latency percentile is None when there were too few runs for it (see `harness.measure.latency`).
    """

    parameters_total: int | None = None
    parameters_trainable: int | None = None
    flops: int | None = None
    latency_p50_seconds: float | None = None
    latency_p95_seconds: float | None = None
    latency_runs: int | None = None
    throughput_per_second: float | None = None
    throughput_batch: int | None = None
    peak_memory_bytes: int | None = None
    train_seconds: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """Everything that is known of one cell, as it is stored in JSON.

    `status` is ok, failed or skipped; a failed or skipped cell has an `error` and no metrics: it is
    never a zero and never silently absent. `metrics` holds None for an *absent* metric; `ceilings` the best
    score that anyone could reach, by metric and by what is seen, where it is known.
    """

    fingerprint: str
    task: str
    data: str
    data_digest: str
    split: str
    model: str
    control: str | None
    seed: int
    status: str
    error: str | None
    metrics: Mapping[str, Estimate | None]
    signature: str | None
    efficiency: Efficiency
    device: str
    provenance: Mapping[str, Any]
    cell: Mapping[str, Any]
    created: str
    ceilings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> RunRecord:
        """Build from what `to_json` made; unknown keys raise TypeError."""
        fields = dict(content)
        fields["metrics"] = {
            name: None if estimate is None else Estimate(**estimate) for name, estimate in content["metrics"].items()
        }
        fields["efficiency"] = Efficiency(**content["efficiency"])
        return RunRecord(**fields)
