"""The metric passport: fixed cases with known scores, and the signature that goes on every record."""

from __future__ import annotations

from harness.errors import BenchError


class MetricDrift(BenchError):
    """A metric that does not give its known value for a fixed case."""
