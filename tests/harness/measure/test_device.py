"""Devices: what a wish resolves to, and that nothing heavy is imported for a CPU."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.measure import device
from harness.measure.gpu_probe import GpuProbe


def test_cpu_and_auto_resolve_without_torch_on_a_machine_without_a_driver() -> None:
    program = (
        "import sys; from harness.measure import device; device._DRIVER_NODES = ();"
        "print(device.resolve_device('cpu', print), device.resolve_device('auto', print), 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["cpu", "cpu", "False"] or sys.platform != "linux"


@pytest.mark.parametrize(
    ("wish", "count", "resolved"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
        ("cpu", 1, "cpu"),
    ],
)
def test_wishes_resolve_to_one_canonical_name(
    monkeypatch: pytest.MonkeyPatch, wish: str, count: int, resolved: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr(device, "_cuda_device_count", lambda: count)
    monkeypatch.setattr(device, "_probed", lambda name, precision: GpuProbe(name, None))
    monkeypatch.setattr(device, "_DRIVER_NODES", ())
    assert device.resolve_device(wish, told.append) == resolved
    assert told == []


@pytest.mark.parametrize(
    ("wish", "count", "remedy"),
    [
        ("cuda", 0, "--device cpu"),
        ("cuda:3", 2, "cuda:0 to cuda:1"),
        ("gpu", 1, "Known: auto"),
        ("cuda:x", 1, "INDEX"),
    ],
)
def test_a_wish_that_cannot_be_met_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, wish: str, count: int, remedy: str
) -> None:
    monkeypatch.setattr(device, "_cuda_device_count", lambda: count)
    with pytest.raises(UsageError, match=remedy):
        device.resolve_device(wish, print)


def test_no_child_is_started_where_no_device_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> GpuProbe:
        raise AssertionError(arguments)

    monkeypatch.setattr(device, "_cuda_device_count", lambda: 0)
    monkeypatch.setattr(device, "probe_gpu", refuse)
    assert device.resolve_device("auto", print) == device.resolve_device("cpu", print) == "cpu"


def test_a_driver_without_a_device_is_told_unless_the_user_has_hidden_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(device, "_cuda_device_count", lambda: 0)
    monkeypatch.setattr(device, "_DRIVER_NODES", (str(tmp_path),))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.resolve_device("auto", told.append) == "cpu"
    assert told == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert device.resolve_device("auto", told.append) == "cpu"
    assert re.fullmatch(f"{tmp_path} is here and torch finds no CUDA device: .*nvidia-smi.* The CPU is taken.", told[0])


def test_the_cpu_has_a_name_threads_and_no_device_memory() -> None:
    description = device.device_description("cpu")
    assert device.cpu_model() in description
    assert "thread" in description
    assert device.peak_memory("cpu") is None


def test_bf16_on_a_cpu_follows_amx_and_survives_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(device, "_CPU_INFO", Path("/none"))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert device.bf16_is_faster("cpu")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert not device.bf16_is_faster("cpu")


@pytest.mark.parametrize(("flags", "precision"), [("fpu avx2 amx_bf16 amx_tile", "bf16"), ("fpu avx2 avx512f", "fp32")])
def test_linux_says_what_the_processor_can_do(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: some\nflags\t\t: {flags}\n")
    monkeypatch.setattr(device, "_CPU_INFO", tmp_path / "cpuinfo")
    assert device.resolve_precision("auto", "cpu") == precision
    assert device.resolve_precision("bf16", "cpu") == "bf16"


def test_linux_and_torch_agree_on_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    said = device.bf16_is_faster("cpu")
    monkeypatch.setattr(device, "_CPU_INFO", Path("/none"))
    assert device.bf16_is_faster("cpu") == said
