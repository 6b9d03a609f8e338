"""What the NVIDIA management library says of a GPU: name, driver, clocks, power limit, and who else computes on it.

Nothing here starts CUDA. What the library does not say, or where it is not there, is None and never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class GpuState:
    """A GPU at one moment: clocks in MHz, `power_limit_watts` the limit that is enforced.

    `other_processes` counts those that compute there beside this one. It is None where this process is not among those
    that are listed, as in a container: its own number cannot be told from others there.
    """

    name: str | None
    driver: str | None
    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_limit_watts: float | None
    other_processes: int | None

    def to_json(self) -> dict[str, str | int | float | None]:
        """Turn into plain JSON types."""
        return asdict(self)


def gpu_state(device: str) -> GpuState | None:
    """Read the state of a device that this process computes on; None for the CPU, and where NVML does not answer."""
    bus = _bus_of(device)
    return None if bus is None else read_gpu(bus)


def energy_counter(device: str) -> Callable[[], float] | None:
    """Give what reads the joules that a GPU has taken since its driver was loaded; None where NVML does not say."""
    bus = _bus_of(device)
    if bus is None or read_energy(bus) is None:
        return None
    return lambda: read_energy(bus) or 0.0


def read_energy(bus: str) -> float | None:
    """Read the total energy of the GPU at a PCI address, in joules; None where NVML does not say (before Volta)."""
    with _library() as nvml:
        if nvml is None:
            return None
        handle = _said(lambda: nvml.nvmlDeviceGetHandleByPciBusId(bus.encode()))
        said = None if handle is None else _said(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
        return None if said is None else said / 1000


def _bus_of(device: str) -> str | None:
    """The PCI address of a device that this process computes on; None for the CPU and with torch before 2.8."""
    if device == "cpu":
        return None
    import torch

    properties: Any = torch.cuda.get_device_properties(device)
    if not hasattr(properties, "pci_bus_id"):
        return None
    return f"{properties.pci_domain_id:08X}:{properties.pci_bus_id:02X}:{properties.pci_device_id:02X}.0"


class GpuWatch:
    """Looks at the GPU that a measurement runs on, now and then; on the CPU it sees nothing and costs nothing."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.state: GpuState | None = None
        """As it was last seen, with the most other processes that were ever seen there."""

    def look(self) -> None:
        """Read the state now."""
        now = gpu_state(self._device)
        counts = [seen.other_processes for seen in (self.state, now) if seen and seen.other_processes is not None]
        self.state = replace(now, other_processes=max(counts, default=None)) if now else self.state


def read_gpu(bus: str) -> GpuState | None:
    """Read the state of the GPU at a PCI address such as 00000000:3B:00.0: visible devices are numbered otherwise."""
    with _library() as nvml:
        if nvml is None:
            return None
        handle = _said(lambda: nvml.nvmlDeviceGetHandleByPciBusId(bus.encode()))
        if handle is None:
            return None
        limit = _said(lambda: int(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)))
        return GpuState(
            name=_said(lambda: _text(nvml.nvmlDeviceGetName(handle))),
            driver=_said(lambda: _text(nvml.nvmlSystemGetDriverVersion())),
            sm_clock_mhz=_said(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            memory_clock_mhz=_said(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))),
            power_limit_watts=None if limit is None else limit / 1000,
            other_processes=_said(lambda: _others(nvml.nvmlDeviceGetComputeRunningProcesses(handle))),
        )


def driver_version() -> str | None:
    """Read the version of the NVIDIA driver, which needs no GPU that works."""
    with _library() as nvml:
        return None if nvml is None else _said(lambda: _text(nvml.nvmlSystemGetDriverVersion()))


def card(index: int) -> str | None:
    """Name the GPU that NVML counts as `index`, with its compute capability: `Tesla V100-SXM2-16GB (sm_70)`."""
    with _library() as nvml:
        if nvml is None:
            return None
        handle = _said(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        name = None if handle is None else _said(lambda: _text(nvml.nvmlDeviceGetName(handle)))
        if name is None:
            return None
        capability = _said(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
        return name if capability is None else f"{name} (sm_{capability[0]}{capability[1]})"


def divided_gpus() -> tuple[str, ...]:
    """Name all GPUs by the driver's names, and of those that are divided (MIG) their parts; empty where none is."""
    with _library() as nvml:
        if nvml is None:
            return ()
        names: list[Any] = []
        is_divided = False
        for index in range(_said(lambda: int(nvml.nvmlDeviceGetCount())) or 0):
            whole = _said(partial(nvml.nvmlDeviceGetHandleByIndex, index))
            parts = _parts(nvml, whole)
            is_divided = is_divided or bool(parts)
            names += [_said(partial(nvml.nvmlDeviceGetUUID, part)) for part in parts or [whole]]
        return tuple(_text(name) for name in names if name) if is_divided else ()


def _parts(nvml: Any, gpu: Any) -> list[Any]:
    """List the parts of a GPU; none where it is not divided."""
    mode = _said(lambda: nvml.nvmlDeviceGetMigMode(gpu)[0])
    most = _said(lambda: int(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu))) if mode else 0
    found = [_said(partial(nvml.nvmlDeviceGetMigDeviceHandleByIndex, gpu, index)) for index in range(most or 0)]
    return [part for part in found if part is not None]


@contextmanager
def _library() -> Iterator[Any]:
    """Open the library for the block; None where it or the driver is not there."""
    nvml: Any = None
    with suppress(Exception):  # it raises its own kinds
        found = import_module("pynvml")
        found.nvmlInit()
        nvml = found
    try:
        yield nvml
    finally:
        if nvml is not None:
            with suppress(Exception):
                nvml.nvmlShutdown()


def _said(ask: Callable[[], Value]) -> Value | None:
    """Ask one thing; None where this card or driver does not say it."""
    try:
        return ask()
    except Exception:  # the library's own kinds: not supported, no permission, the GPU is lost
        return None


def _others(processes: Any) -> int | None:
    listed = {int(process.pid) for process in processes}
    own = os.getpid()
    return len(listed - {own}) if own in listed else None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
