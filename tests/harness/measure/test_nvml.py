"""What the driver says of a GPU, read from a library that stands in for its own; what it does not say is None."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.measure import nvml
from harness.measure.energy import NVML, energy_sources
from harness.measure.nvml import (
    GpuState,
    GpuWatch,
    card,
    divided_gpus,
    driver_version,
    energy_counter,
    gpu_state,
    read_gpu,
)

BUS = b"00000001:3B:00.0"


class NotSupported(Exception):
    """What the library raises."""


class Library:
    """Stands for `pynvml`: one V100, on which this process and two others compute."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def __init__(self) -> None:
        self.opened = 0
        self.pids = [os.getpid(), 7, 8, 7]

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"535.104.05"

    def nvmlDeviceGetHandleByPciBusId(self, bus: bytes) -> str:
        if bus != BUS:
            raise NotSupported(bus)
        return "handle"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index != 0:
            raise NotSupported(index)
        return "handle"

    def nvmlDeviceGetName(self, handle: str) -> str:
        return "Tesla V100"

    def nvmlDeviceGetCudaComputeCapability(self, handle: str) -> tuple[int, int]:
        return 7, 0

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return {1: 1530, 2: 877}[kind]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 250_000

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=2**30) for pid in self.pids]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "pynvml", library)  # type: ignore[arg-type]
    place = SimpleNamespace(pci_domain_id=1, pci_bus_id=0x3B, pci_device_id=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: place)
    return library


def test_the_state_is_that_of_the_card_at_the_devices_address(library: Library) -> None:
    state = gpu_state("cuda:0")
    assert state == GpuState("Tesla V100", "535.104.05", 1530, 877, 250.0, other_processes=2)
    assert json.loads(json.dumps(state.to_json()))["power_limit_watts"] == 250.0
    assert library.opened == 0, "what was opened is closed"


def test_a_container_that_does_not_see_its_own_number_does_not_guess(library: Library) -> None:
    library.pids = [7]
    state = gpu_state("cuda:0")
    assert state is not None and state.other_processes is None


def test_what_a_card_does_not_say_is_none_and_the_rest_is_there(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise NotSupported

    for name in ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetClockInfo", "nvmlDeviceGetComputeRunningProcesses"):
        monkeypatch.setattr(library, name, refuse)
    assert gpu_state("cuda:0") == GpuState("Tesla V100", "535.104.05", None, None, None, None)
    assert read_gpu("00000000:01:00.0") is None
    assert library.opened == 0


def test_energy_is_the_cards_counter_in_joules_or_absent(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert energy_counter("cpu") is None and energy_counter("cuda:0") is None  # as of a card before Volta
    assert energy_sources("cuda:0", Path("/nowhere"))[1].startswith("NVML gives no total energy of this GPU; ")
    millijoules = iter((1_500, 1_500, 4_000))
    monkeypatch.setattr(library, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: next(millijoules), raising=False)
    (source,), why = energy_sources("cuda:0", Path("/nowhere"))
    assert (source.name, source.read(), source.read(), why) == (NVML, 1.5, 4.0, "")
    assert library.opened == 0


def test_driver_and_card_are_known_without_cuda(library: Library) -> None:
    assert (driver_version(), card(0), card(1)) == ("535.104.05", "Tesla V100 (sm_70)", None)


@pytest.mark.parametrize("module", [None, SimpleNamespace()])
def test_without_the_library_nothing_is_said(module: Any, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert (gpu_state("cuda:0"), driver_version(), card(0)) == (None, None, None)


def test_on_the_cpu_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(nvml, "read_gpu", pytest.fail)
    assert gpu_state("cpu") is None
    watch = GpuWatch("cpu")
    watch.look()
    assert watch.state is None


def test_others_count_though_they_have_gone_by_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [
        GpuState("H100", "580.1", clock, 2619, 700.0, others) for clock, others in ((345, None), (1980, 1), (1755, 0))
    ]
    looks = iter(seen)
    monkeypatch.setattr(nvml, "gpu_state", lambda device: next(looks))
    watch = GpuWatch("cuda:0")
    for _ in seen:
        watch.look()
    assert watch.state == GpuState("H100", "580.1", 1755, 2619, 700.0, other_processes=1)


def test_the_parts_of_divided_gpus_are_named_in_their_place(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPU 0 is divided in two of at most three parts, GPU 1 is whole; where none is divided nothing is said."""
    parts = {0: ["MIG-a", NotSupported(), "MIG-b"], 1: []}

    def part(gpu: int, index: int) -> str:
        found = parts[gpu][index]
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr(library, "nvmlDeviceGetCount", lambda: 2, raising=False)
    monkeypatch.setattr(library, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(library, "nvmlDeviceGetMigMode", lambda gpu: [int(gpu == 0), 0], raising=False)
    monkeypatch.setattr(library, "nvmlDeviceGetMaxMigDeviceCount", lambda gpu: 3, raising=False)
    monkeypatch.setattr(library, "nvmlDeviceGetMigDeviceHandleByIndex", part, raising=False)
    monkeypatch.setattr(library, "nvmlDeviceGetUUID", lambda gpu: gpu if gpu != 1 else b"GPU-whole", raising=False)
    assert divided_gpus() == ("MIG-a", "MIG-b", "GPU-whole")
    monkeypatch.setattr(library, "nvmlDeviceGetMigMode", lambda gpu: [0, 0])
    assert divided_gpus() == ()
    assert library.opened == 0
