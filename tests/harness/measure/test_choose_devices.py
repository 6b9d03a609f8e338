"""Devices of a run: what a wish resolves to, which GPUs take jobs, and that nothing heavy is imported for a CPU."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.measure import choose_devices as module
from harness.measure import device
from harness.measure.choose_devices import Devices, DeviceWish, choose_devices
from harness.measure.gpu_probe import GpuProbe

Machine = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with `count` GPUs, of which some are `broken`; what was tried is in the list that it gives."""

    def made(
        count: int,
        broken: tuple[str, ...] = (),
        visible: str | None = None,
        parts: tuple[str, ...] = (),
        facts: Mapping[str, Mapping[str, str]] | None = None,
    ) -> list[tuple[str, str]]:
        tried: list[tuple[str, str]] = []

        def probed(name: str, gpu: str, precision: str) -> GpuProbe:
            tried.append((name, gpu))
            known = {"card": "H100 (sm_90)", "precision": "bf16"} | dict((facts or {}).get(gpu, {}))
            return GpuProbe(name, "It is lost." if gpu in broken else None, known)

        monkeypatch.setattr(module, "cuda_device_count", lambda: count)
        monkeypatch.setattr(module, "divided_gpus", lambda: parts)
        monkeypatch.setattr(module, "_probed", probed)
        monkeypatch.setattr(device, "_DRIVER_NODES", ())
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return tried

    return made


def chosen(kind: str = "auto", devices: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The kind and the GPUs, where nothing is to be said."""
    told: list[str] = []
    found = choose_devices(DeviceWish(kind, devices), told.append)
    assert told == []
    return found.kind, found.gpus


def test_cpu_and_auto_resolve_without_torch_on_a_machine_without_a_driver() -> None:
    program = (
        "import sys; from harness.measure import choose_devices as c, device; device._DRIVER_NODES = ();"
        "print(*(c.choose_devices(c.DeviceWish(w), print) for w in ('cpu', 'auto')), 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["cpu", "cpu", "False"] or sys.platform != "linux"


@pytest.mark.parametrize(
    ("kind", "devices", "gpus"),
    [
        ("auto", None, "012"),
        ("cuda", None, "012"),
        ("auto", "all", "012"),
        ("cuda", "all", "012"),
        ("cuda:1", None, "1"),
        ("auto", "cuda:2,cuda:0", "20"),
        ("cuda", "2, 1,2", "21"),
    ],
)
def test_every_gpu_takes_jobs_unless_some_are_named(
    kind: str, devices: str | None, gpus: str, machine: Machine
) -> None:
    tried = machine(3)
    assert chosen(kind, devices) == ("cuda", tuple(gpus))
    assert sorted(tried) == sorted((f"cuda:{gpu}", gpu) for gpu in gpus)


@pytest.mark.parametrize(
    ("visible", "count", "devices", "gpus"),
    [
        ("5,3", 2, None, ("5", "3")),
        ("5,3", 2, "cuda:1", ("3",)),
        ("GPU-a, GPU-b", 2, "GPU-b", ("GPU-b",)),
        ("0,-1,2", 1, None, ("0",)),  # CUDA ends the list at the first that is none
        ("MIG-a,MIG-b", 1, None, ("MIG-a", "MIG-b")),  # CUDA shows a process one of them
        ("MIG-a,MIG-b", 1, "cuda:1", ("MIG-b",)),
    ],
)
def test_gpus_are_those_that_the_environment_makes_visible(
    visible: str, count: int, devices: str | None, gpus: tuple[str, ...], machine: Machine
) -> None:
    machine(count, visible=visible)
    assert chosen("cuda", devices) == ("cuda", gpus)


def test_the_parts_of_a_divided_gpu_take_jobs_each(machine: Machine) -> None:
    machine(2, parts=("MIG-a", "MIG-b", "GPU-c"))
    assert chosen() == ("cuda", ("MIG-a", "MIG-b", "GPU-c"))
    assert chosen("auto", "MIG-b,GPU-c") == ("cuda", ("MIG-b", "GPU-c"))


@pytest.mark.parametrize(
    ("kind", "devices", "count", "visible", "remedy"),
    [
        ("cuda", None, 0, None, "--device cpu"),
        ("auto", "all", 0, None, "--device cpu"),
        ("auto", "GPU-a", 0, None, "--device cpu"),
        ("cuda:3", None, 2, None, "cuda:0 to cuda:1"),
        ("cuda", "cuda:0,cuda:2", 2, None, "'cuda:2' was asked for.*cuda:0 to cuda:1"),
        ("cuda", "GPU-b", 1, "GPU-a", "'GPU-b' was asked for"),  # a scheduler has given another one
        ("gpu", None, 1, None, "Known: auto"),
        ("cuda:x", None, 1, None, "INDEX"),
        ("auto", "both", 1, None, "'both' is not understood. Known: all, or a list"),
        ("auto", "", 1, None, "'' is not understood"),
        ("cpu", "all", 1, None, "--device cpu and --devices all contradict"),
        ("cuda:0", "all", 1, None, "--device cuda:0 and --devices all contradict"),
    ],
)
def test_a_wish_that_cannot_be_met_is_an_error_with_a_remedy(
    kind: str, devices: str | None, count: int, visible: str | None, remedy: str, machine: Machine
) -> None:
    machine(count, visible=visible)
    with pytest.raises(UsageError, match=remedy):
        choose_devices(DeviceWish(kind, devices), print)


def test_no_child_is_started_where_no_device_is_counted(machine: Machine) -> None:
    tried = machine(0)
    assert chosen("auto") == chosen("cpu") == ("cpu", ())
    assert tried == []


@pytest.mark.parametrize("kind", ["auto", "cuda"])
def test_a_gpu_that_cannot_be_used_is_left_out_and_said_unless_it_is_named(kind: str, machine: Machine) -> None:
    machine(3, broken=("1",))
    told: list[str] = []
    assert choose_devices(DeviceWish(kind), told.append).gpus == ("0", "2")
    assert re.fullmatch(r"torch cannot compute on cuda:1: It is lost\. .* It is left out\.", told[0])
    for wish in (DeviceWish("cuda:1"), DeviceWish(kind, "cuda:0,cuda:1")):
        with pytest.raises(UsageError, match=r"cannot compute on cuda:1.*Or use `--device cpu`"):
            choose_devices(wish, print)


def test_where_no_gpu_can_be_used_auto_takes_the_cpu_and_cuda_is_an_error(machine: Machine) -> None:
    machine(2, broken=("0", "1"))
    told: list[str] = []
    assert choose_devices(DeviceWish(), told.append) == Devices("cpu")
    assert [line.endswith("The CPU is taken.") for line in told] == [True, True]
    with pytest.raises(UsageError, match="cannot compute on cuda:0"):
        choose_devices(DeviceWish("cuda"), print)


def test_cards_that_differ_are_said_and_have_one_precision_or_none(machine: Machine) -> None:
    machine(2, facts={"1": {"card": "T4 (sm_75)", "precision": "fp16"}})
    told: list[str] = []
    found = choose_devices(DeviceWish(), told.append)
    assert str(found) == "2 GPUs, H100 (sm_90), T4 (sm_75)"
    assert told == ["The GPUs differ (H100 (sm_90), T4 (sm_75)): a latency is only comparable on the same one."]
    with pytest.raises(UsageError, match=r"bf16 on H100 \(sm_90\), fp16 on T4 \(sm_75\).*--devices"):
        found.precision("auto")
    assert found.precision("fp32") == "fp32"
    assert choose_devices(DeviceWish("auto", "cuda:1"), print).precision("auto") == "fp16"


def test_for_jobs_elsewhere_this_machine_needs_no_gpu_but_must_be_told_their_precision(machine: Machine) -> None:
    machine(0)
    found = choose_devices(DeviceWish("cuda", elsewhere=True), print)
    assert (str(found), found.gpus, found.precision("bf16")) == ("cuda", (), "bf16")
    with pytest.raises(UsageError, match=r"none is here to be asked.*--set train\.precision=bf16"):
        found.precision("auto")
    assert choose_devices(DeviceWish(elsewhere=True), print) == Devices("cpu")
    machine(1)
    assert choose_devices(DeviceWish("cuda", elsewhere=True), print).precision("auto") == "bf16"


def test_a_driver_without_a_device_is_told_unless_the_user_has_hidden_it(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(0, visible="")
    monkeypatch.setattr(device, "_DRIVER_NODES", (str(tmp_path),))
    assert chosen() == ("cpu", ())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    told: list[str] = []
    assert choose_devices(DeviceWish(), told.append) == Devices("cpu")
    assert re.fullmatch(f"{tmp_path} is here and torch finds no CUDA device: .*nvidia-smi.* The CPU is taken.", told[0])


def test_the_child_sees_one_gpu_and_messages_call_it_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.measure import gpu_probe

    started: list[Any] = []

    class Child:
        pid, returncode = 1, 0

        def __init__(self, command: list[str], **options: Any) -> None:
            started.append((command[-1], options["env"]["CUDA_VISIBLE_DEVICES"]))

        def wait(self, seconds: float) -> int:
            return 0

    monkeypatch.setattr(gpu_probe.subprocess, "Popen", Child)
    found = gpu_probe.probe_gpu("cuda:5", "bf16", visible="GPU-f")
    assert started[0][0].endswith("compute('cuda:0', 'bf16')")
    assert started[0][1] == "GPU-f"
    assert found.reason.startswith("torch cannot compute on cuda:5: a child process that tried ended")


def test_the_wishes_that_the_page_on_gpus_shows_are_understood(machine: Machine) -> None:
    page = (Path(__file__).parents[3] / "docs" / "gpu.md").read_text(encoding="utf-8")
    shown = re.findall(r"bench run(?: --device (\S+))?(?: --devices (\S+))?", page)
    machine(4)
    found = [choose_devices(DeviceWish(kind or "auto", devices or None), print).gpus for kind, devices in shown]
    assert found == [("0", "1"), ("1",), ("0", "1", "2", "3")]
