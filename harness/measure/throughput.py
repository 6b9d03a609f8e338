"""Samples a second at a stated batch size: another number than one over the latency of batch 1."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.measure.latency import WarmUp, time_once, warm_up


@dataclass(frozen=True)
class Throughput:
    """Samples a second at `batch_size`, the median of the timed calls in `seconds`; `warm_up` came before them."""

    per_second: float
    batch_size: int
    seconds: tuple[float, ...]
    warm_up: WarmUp


def time_throughput(call: Callable[[], Any], batch_size: int, runs: int, device: str) -> Throughput:
    """Time a call that works on one batch of `batch_size` samples, after one untimed call.

    On an accelerator there is a second of them. The median of the runs, not their mean, because one interruption
    would otherwise move it.
    """
    if runs < 1 or batch_size < 1:
        raise UsageError(f"Throughput was asked for with {runs} runs at batch {batch_size}. Both must be at least 1.")
    warm = warm_up(call, 1, device)
    seconds = tuple(time_once(call, device) for _ in range(runs))
    return Throughput(batch_size / max(statistics.median(seconds), 1e-9), batch_size, seconds, warm)
