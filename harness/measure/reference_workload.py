"""A fixed workload, timed between the timed calls of a model, so that a slow or busy machine slows both.

What is compared between two runs is the median over calls of model seconds / workload seconds. On two busy cores the
median latency of a small network moved by 45 % between processes (standard deviation of its logarithm), this ratio by
2 to 4 %. On another processor the ratio is another: it is comparable on one kind of machine only.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WORKLOAD_VERSION = 1  # raise it whenever the workload changes: ratios of two versions are not comparable
_BLOCKS = 10


@dataclass(frozen=True)
class Calibrated:
    """Model seconds over workload seconds: median over all calls, and in `blocks` of successive calls."""

    version: int
    ratio: float
    blocks: tuple[float, ...]
    workload_p50_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return asdict(self)


def calibration_workload(device: str) -> Callable[[], Any]:
    """Build about a millisecond of what small models do on a CPU core: convolution, products, many small operations."""
    import torch
    from torch.nn import functional

    generator = torch.Generator().manual_seed(0)

    def constant(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    image, kernel = constant(1, 16, 32, 32), constant(32, 16, 3, 3)
    rows, square = constant(32, 384), constant(384, 384)

    def workload() -> torch.Tensor:
        total = rows
        for _ in range(2):
            total = torch.softmax(functional.layer_norm(total @ square, (384,)), dim=1)
            functional.relu(functional.conv2d(image, kernel, padding=1))
        for _ in range(10):
            total = total + 1.0
        return total

    return workload


def calibrated(model_seconds: Sequence[float], workload_seconds: Sequence[float]) -> Calibrated:
    """Reduce paired calls to their ratio; the spread of `blocks` is the noise within this process."""
    ratios = [model / workload for model, workload in zip(model_seconds, workload_seconds, strict=True)]
    size = max(1, len(ratios) // _BLOCKS)
    blocks = [statistics.median(ratios[start : start + size]) for start in range(0, len(ratios) - size + 1, size)]
    return Calibrated(WORKLOAD_VERSION, statistics.median(ratios), tuple(blocks), statistics.median(workload_seconds))
