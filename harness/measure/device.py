"""The only file that knows how a CPU differs from a CUDA device: names, waiting, peaks, precision."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.option_fields import Precision

_DRIVER_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/dev/nvmap")
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""In the environment: the GPUs that a process sees, counted from 0 in the order in which they are named there."""
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class DevicePeak:
    """Peak bytes on an accelerator: of live tensors, and of what the allocator took from the device."""

    allocated_bytes: int
    reserved_bytes: int


def synchronize(device: str) -> None:
    """Wait until the device has done all that was asked of it; a CPU always has."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def reset_peak_memory(device: str) -> None:
    """Start counting the accelerator's peaks anew; nothing to do on a CPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()  # else `reserved` begins at what an earlier phase has left behind
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str) -> DevicePeak | None:
    """Read the accelerator's peaks since `reset_peak_memory`; None on a CPU."""
    if device == "cpu":
        return None
    import torch

    torch.cuda.synchronize(device)
    return DevicePeak(torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device))


def device_description(device: str) -> str:
    """Name the device for a table: `AMD EPYC, 2 threads` or `NVIDIA H100 80GB HBM3, 79 GiB`."""
    import torch

    if device == "cpu":
        threads = torch.get_num_threads()
        return f"{cpu_model()}, {threads} thread{'s' if threads > 1 else ''}"
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def resolve_precision(wish: Precision, device: str) -> Precision:
    """Turn auto into bf16 where the device computes it faster, into fp16 on the GPUs before these, else into fp32.

    By its kind, not by a stopwatch: a timing would make the scores depend on how busy the machine happened to be.
    """
    if wish != "auto":
        return wish
    if bf16_is_faster(device):
        return "bf16"
    return "fp16" if _has_tensor_cores(device) else "fp32"


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """Compute in `precision` (fp32, bf16 or fp16) within the block, as far as torch holds that to be safe."""
    if precision == "fp32":
        return nullcontext()
    import torch

    kind = device.partition(":")[0]
    block = torch.autocast(kind, {"bf16": torch.bfloat16, "fp16": torch.float16}[precision])
    return block if kind != "cpu" or _onednn_computes_in(precision) else _without_onednn(block)


def _onednn_computes_in(precision: str) -> bool:
    import torch

    asks: Any = torch.ops.mkldnn
    return bool(asks._is_mkldnn_bf16_supported() if precision == "bf16" else asks._is_mkldnn_fp16_supported())


@contextmanager
def _without_onednn(block: AbstractContextManager[Any]) -> Iterator[None]:
    """Keep torch from asking oneDNN, on a processor where it lacks the format: for an LSTM torch does so and fails."""
    import torch

    mkldnn: Any = torch.backends.mkldnn
    before = mkldnn.enabled
    mkldnn.enabled = False
    try:
        with block:
            yield
    finally:
        mkldnn.enabled = before


def begin_job(threads: int, *, deterministic: bool = False) -> None:
    """Set what moves the last digits in this process: the threads of the CPU, and no TF32 where fp32 is meant.

    By default torch convolves fp32 in TF32 on Ampere and later, and multiplies matrices in fp32. The flags and not
    `fp32_precision`: with that, torch refuses to read the flags, which `torch.backends.cudnn.flags` does.

    `deterministic` refuses operations that may give other bits each time; to be called before CUDA is started.
    """
    import torch

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.backends.cudnn.benchmark = False
    torch.set_deterministic_debug_mode("error" if deterministic else "default")


def numerics(device: str) -> dict[str, Any]:
    """Say what moves the last digits on an accelerator: TF32, the versions of CUDA and cuDNN; of a CPU TF32 alone.

    Also that nothing else does, where only deterministic operations are made.
    """
    import torch

    known: dict[str, Any] = {"tf32": bool(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)}
    if torch.are_deterministic_algorithms_enabled():
        known["deterministic"] = True
    if device == "cpu":
        return known
    return {**known, "cuda": torch.version.cuda or torch.version.hip, "cudnn": torch.backends.cudnn.version()}


def _has_tensor_cores(device: str) -> bool:
    """Whether a GPU multiplies fp16 in hardware: from Volta on, as V100 and T4 do, which have no bf16."""
    if device == "cpu":
        return False
    import torch

    return torch.version.hip is None and torch.cuda.get_device_capability(device) >= (7, 0)


def bf16_is_faster(device: str) -> bool:
    """Say whether the device multiplies bf16 matrices in hardware.

    A CPU must have AMX: with AVX2 alone bf16 was measured about 20 times slower than fp32. True is a
    hint, not a promise: depthwise networks can be slower in bf16 even so. Where the system lists the processor's
    features torch, which takes seconds to import, is not asked.
    """
    if device == "cpu" and (features := _cpu_features()):
        return "amx_tile" in features
    import torch

    if device != "cpu":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, so it may go away
    return bool(supported is not None and supported())


def _cpu_features() -> frozenset[str]:
    """List what Linux says that the first processor can do; empty elsewhere, and on processors other than x86."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(errors="replace", encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return frozenset(value.split())
    return frozenset()


def cpu_model() -> str:
    """Name the processor, as far as the system tells."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(errors="replace", encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model", "cpu model"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8", errors="replace")
        if asked.stdout.strip():
            return asked.stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def has_driver() -> bool:
    """Whether the driver of an accelerator can be here: False on a Linux without its device nodes."""
    return sys.platform != "linux" or driver_node() is not None


def driver_node() -> str | None:
    """Find the device node of an accelerator's driver; None where there is none."""
    return next((node for node in _DRIVER_NODES if Path(node).exists()), None)


def cuda_device_count() -> int:
    """Count CUDA devices, importing torch only where a driver can be there."""
    if not has_driver():
        return 0
    import torch

    return torch.cuda.device_count()
