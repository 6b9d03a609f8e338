"""What a failed record says of samples without an answer: how many, why, and between which ends each metric lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.record import RunRecord

FAILED_SAMPLES = "failed_samples"
"""Where the provenance holds it: count, of, reasons, samples, bounds, unbounded."""
SERVICE = "service"
"""Where the provenance holds what is known of the service that answered."""


def failed_samples(record: RunRecord) -> Mapping[str, Any]:
    """Read what a record says of its failed samples; empty where none failed."""
    found: Mapping[str, Any] = record.provenance.get(FAILED_SAMPLES, {})
    return found


def bounds_of(failed: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Read the bounds of metrics from `failed_samples`."""
    return {name: (float(low), float(high)) for name, (low, high) in failed.get("bounds", {}).items()}
