"""The machine that a number was measured on: efficiency is comparable on the same machine only."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass

from harness.measure.device import cpu_model, device_description


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it moves speed and memory. `gpu` is None for a job on the CPU.

    `threads` is what torch may use, `usable_cores` what the system lets this process run on.
    """

    cpu: str
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    threads: int
    memory_bytes: int
    system: str
    gpu: str | None

    @property
    def label(self) -> str:
        """Say in one line which machine this is."""
        where = self.gpu or f"{self.cpu}, {self.threads} of {self.logical_cores} threads"
        return f"{where}, {self.memory_bytes / 2**30:.0f} GiB RAM, {self.system}"

    def to_json(self) -> dict[str, str | int | None]:
        """Turn into plain JSON types."""
        return asdict(self)


def describe_machine(device: str) -> Machine:
    """Describe this machine for a job on `device` (`cpu` or `cuda:INDEX`)."""
    import psutil  # type: ignore[import-untyped]
    import torch

    return Machine(
        cpu=cpu_model(),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        usable_cores=_usable_cores(),
        threads=torch.get_num_threads(),
        memory_bytes=int(psutil.virtual_memory().total),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        gpu=None if device == "cpu" else device_description(device),
    )


def _usable_cores() -> int:
    """Count the cores of the process's affinity; macOS has none, so all cores there."""
    import psutil

    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
