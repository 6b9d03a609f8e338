"""Energy as counters of the hardware give it: NVML's on GPUs, RAPL's of processor packages. Absent where neither is.

Nothing is ever estimated from power limits, load or a table of processors: such figures are wrong by factors, and look
like measured ones. What the machine takes when idle is measured just before, subtracted, and shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.measure.nvml import energy_counter

POWERCAP = Path("/sys/class/powercap")
NVML = "NVML total energy"
_IDLE_S, _WORK_S = 1.0, 2.0
"""Counters move every 1 (RAPL) to 100 ms (NVML): over so long that is a few per cent at most."""


@dataclass(frozen=True)
class EnergySource:
    """A counter of joules that only rises, but for `wraps_at`, where it begins again from 0 (None: never)."""

    name: str
    read: Callable[[], float]
    wraps_at: float | None = None

    def between(self, before: float, after: float) -> float:
        """Joules from one reading to the next, which is less than one turn later."""
        return after - before + (self.wraps_at if after < before and self.wraps_at is not None else 0.0)


@dataclass(frozen=True)
class EnergyUse:
    """What one counter saw: joules while working, watts when idle before, and how many samples were answered."""

    source: str
    joules: float
    seconds: float
    idle_watts: float
    samples: int

    @property
    def net_joules_per_sample(self) -> float:
        """Without what the machine takes anyway; below 0 where the work cannot be told from idling."""
        return (self.joules - self.idle_watts * self.seconds) / self.samples

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "net_joules_per_sample": self.net_joules_per_sample}


def joules_per_sample(told: Mapping[str, Any], device: str) -> float | None:
    """Add up what counters saw of one sample, less idle; `told` is the `energy` of a record's notes.

    None where nothing was counted, on a GPU without its own counter, and where work and idling cannot be told apart.
    """
    uses = told.get("sources", [])
    if device != "cpu" and not any(use["source"] == NVML for use in uses):
        return None
    found: list[float] = [use["net_joules_per_sample"] for use in uses]
    return sum(found) if found and min(found) > 0 else None


def energy_sources(device: str, powercap: Path = POWERCAP) -> tuple[list[EnergySource], str]:
    """Find the counters of this machine for work on a device, and why there is none, "" where there are.

    Of RAPL the packages alone: their parts (core, uncore) are in them, and `psys` holds packages again.
    """
    found: list[EnergySource] = []
    reasons = []
    if device != "cpu":
        read = energy_counter(device)
        if read is None:
            reasons.append("NVML gives no total energy of this GPU")
        else:
            found.append(EnergySource(NVML, read))
    zones = sorted(powercap.glob("*:*")) if powercap.is_dir() else []
    packages = [zone for zone in zones if _text(zone / "name").startswith("package")]
    if not packages:
        reasons.append(f"the kernel shows no RAPL package in {powercap}")
    for zone in packages:
        source = _package(zone)
        if source is None:
            reasons.append(f"{zone}/energy_uj cannot be read (most kernels let root alone)")
        else:
            found.append(source)
    return found, "" if found else "; ".join(reasons)


def measure_energy(
    sources: Sequence[EnergySource],
    work: Callable[[], object],
    samples: int,
    *,
    idle_s: float = _IDLE_S,
    work_s: float = _WORK_S,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], object] = time.sleep,
) -> list[EnergyUse]:
    """Idle, then work on so many `samples` over and over; returns what each counter saw. `work` must synchronise."""
    started, before = clock(), [source.read() for source in sources]
    rest(idle_s)
    between, idle_seconds = [source.read() for source in sources], clock() - started
    begun, rounds = clock(), 0
    while rounds == 0 or clock() - begun < work_s:
        work()
        rounds += 1
    after, seconds = [source.read() for source in sources], clock() - begun
    return [
        EnergyUse(source.name, source.between(b, c), seconds, source.between(a, b) / idle_seconds, samples * rounds)
        for source, a, b, c in zip(sources, before, between, after, strict=True)
    ]


def _package(zone: Path) -> EnergySource | None:
    counter, limit = zone / "energy_uj", _text(zone / "max_energy_range_uj")
    if not _text(counter).isdecimal():
        return None
    wraps_at = int(limit) / 1e6 if limit.isdecimal() else None
    return EnergySource(f"RAPL {_text(zone / 'name')}", lambda: int(_text(counter)) / 1e6, wraps_at)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
