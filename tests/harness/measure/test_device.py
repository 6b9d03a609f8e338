"""Devices: what a wish resolves to, and that nothing heavy is imported for a CPU."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.inputs.frozen_features import computing_kind
from harness.measure import device


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


@pytest.mark.parametrize(
    ("bf16", "capability", "precision"),
    [(True, (8, 0), "bf16"), (False, (7, 5), "fp16"), (False, (7, 0), "fp16"), (False, (6, 1), "fp32")],
)
def test_auto_is_what_a_kind_of_gpu_multiplies_in_hardware(
    bf16: bool, capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert device.resolve_precision("auto", "cuda:1") == precision
    assert device.resolve_precision("fp32", "cuda:1") == "fp32"


def test_a_job_begins_without_tf32_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92600)
    assert device.numerics("cpu") == {"tf32": True}
    device.begin_job(threads)
    assert device.numerics("cpu") == {"tf32": False}
    assert device.numerics("cuda:0") == {"tf32": False, "cuda": torch.version.cuda, "cudnn": 92600}
    with torch.backends.cudnn.flags(enabled=True):  # which reads the flags: they must not contradict each other
        pass


def test_a_job_that_is_to_be_deterministic_refuses_other_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    threads, plain = torch.get_num_threads(), computing_kind("cpu")
    try:
        device.begin_job(threads, deterministic=True)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.backends.cudnn.benchmark is False
        assert device.numerics("cpu")["deterministic"] is True
        assert computing_kind("cpu") != plain, "features that were computed otherwise are not taken"
        with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
            torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    finally:
        device.begin_job(threads)
    assert "deterministic" not in device.numerics("cpu")
    torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))


@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_recurrent_layer_is_trained_where_onednn_lacks_the_format(
    precision: str, lacking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does on processors without AVX-512: torch would ask it all the same, and fail."""
    import torch

    if lacking:
        monkeypatch.setattr(device, "_onednn_computes_in", lambda precision: False)
    before, layer = torch.backends.mkldnn.enabled, torch.nn.LSTM(8, 16, batch_first=True)
    with device.autocast("cpu", precision):
        found, _ = layer(torch.randn(2, 3, 8))
    found.float().sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in layer.parameters() if weight.grad is not None)
    assert all(weight.grad is not None for weight in layer.parameters())
    assert torch.backends.mkldnn.enabled == before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_block_computes_in_its_precision(precision: str) -> None:
    import torch

    with device.autocast("cpu", precision):
        dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    with device.autocast("cpu", "fp32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
