"""Whether a measurement was disturbed: by others on the CPU or the GPU, and how far the timings spread.

One busy neighbour was seen to slow two-thread torch 4.5 times, so a disturbed row is flagged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

SPREAD_LIMIT = 0.10
"""Interquartile range over median of the timed calls, above which a row is noisy."""

FOREIGN_LIMIT = 0.05
"""Share of all cores' time that other processes used, above which a row is noisy."""

CROWDED = 0.10
"""Share of all cores' time that others used beyond what the job left free, above which timings are wrong.

Medians, and their ratios to a workload timed between the calls, were right to 0.10 and wrong by up to 6 times from 0.17
(2 cores, 45 processes).
"""


class ForeignLoad:
    """Measures what share of the machine's CPU others used inside its `with` block.

    Own is this process and its living and ended children; foreign is every other busy second of any
    core, time stolen by the hypervisor included. In a container the whole host is seen.
    """

    def __init__(self) -> None:
        self._started: tuple[float, float, float] | None = None
        self.share: float | None = None
        """Foreign CPU seconds over (wall seconds x cores), 0..1; None until the block has ended."""

    def __enter__(self) -> Self:
        self._started = _reading()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._started is not None
        wall, busy, own = (now - before for now, before in zip(_reading(), self._started, strict=True))
        self.share = _share(wall, busy, own, _cores())


def noise_reasons(
    iqr_over_median: float | None, foreign_share: float | None, gpu_processes: int | None = None
) -> tuple[str, ...]:
    """Say why a measurement is noisy; empty when it is quiet. None is a number that was not taken."""
    reasons = []
    if iqr_over_median is not None and iqr_over_median > SPREAD_LIMIT:
        reasons.append(f"timings spread by {iqr_over_median:.0%} of the median (limit {SPREAD_LIMIT:.0%})")
    if foreign_share is not None and foreign_share > FOREIGN_LIMIT:
        reasons.append(f"other processes used {foreign_share:.0%} of the CPU (limit {FOREIGN_LIMIT:.0%})")
    if gpu_processes:
        reasons.append(f"{gpu_processes} other process{'' if gpu_processes == 1 else 'es'} computed on the GPU")
    return tuple(reasons)


def crowding(notes: Mapping[str, Any]) -> float:
    """Say from a record's notes what share of the machine others used beyond the cores that its job left free, 0..1."""
    machine, foreign = notes.get("machine"), notes.get("foreign_cpu_share")
    if not machine or foreign is None:
        return 0.0
    free = 1 - min(1.0, float(machine["threads"]) / float(machine["logical_cores"]))
    return max(0.0, float(foreign) - free)


def _share(wall: float, busy: float, own: float, cores: int) -> float:
    """Divide foreign by possible CPU seconds; the clocks tick coarsely, so clamp to 0..1."""
    if wall <= 0:
        return 0.0
    return min(max((busy - own) / (wall * cores), 0.0), 1.0)


def _reading() -> tuple[float, float, float]:
    """Read the wall clock, all cores' busy seconds and this job's own CPU seconds."""
    return time.perf_counter(), _busy_seconds(), _own_seconds()


def _busy_seconds() -> float:
    import psutil  # type: ignore[import-untyped]

    times = psutil.cpu_times()._asdict()
    # A core that waits for a disk is free; Linux counts guest time within user and nice already.
    idle = sum(times.get(name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return float(sum(times.values()) - idle)


def _own_seconds() -> float:
    import psutil

    process = psutil.Process()
    own = process.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:  # it ended meanwhile; its time is in its parent's or lost
            continue
        seconds += times.user + times.system
    return float(seconds)


def _cores() -> int:
    import psutil

    return psutil.cpu_count() or 1
