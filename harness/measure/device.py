"""The only file that knows how a CPU differs from a CUDA device: names, waiting, peaks, precision."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.errors import UsageError
from harness.measure.gpu_probe import GpuProbe, probe_gpu
from harness.option_fields import Precision

_DRIVER_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/dev/nvmap")
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class DevicePeak:
    """Peak bytes on an accelerator: of live tensors, and of what the allocator took from the device."""

    allocated_bytes: int
    reserved_bytes: int


def resolve_device(wish: str, say: Callable[[str], None], precision: Precision = "auto") -> str:
    """Turn `auto`, `cpu`, `cuda` or `cuda:INDEX` into `cpu` or `cuda:INDEX`.

    `auto` takes the first CUDA device where there is one that torch can use, and says why where it cannot. Devices are
    counted through NVML where it answers, so a process that asks can still be forked; a machine without a driver is
    known without importing torch. Whether torch can use one, in this precision, is found by a child process, once a
    process. Raises UsageError for other names, and for CUDA devices that are not there or cannot be used.
    """
    if wish == "cpu":
        return "cpu"
    kind, _, index = wish.partition(":")
    understood = kind == "cuda" and (index.isdecimal() or wish == "cuda")
    if not understood and wish != "auto":
        raise UsageError(f"Device '{wish}' is not understood. Known: auto, cpu, cuda, cuda:INDEX (such as cuda:0).")
    count = _cuda_device_count()
    if wish != "auto" and int(index or 0) >= count:
        raise UsageError(_absent(wish, count))
    if not count:
        if why := _hidden():
            say(f"{why} The CPU is taken.")
        return "cpu"
    found = _probed(f"cuda:{int(index or 0)}", precision)
    if found.failure is None:
        return found.device
    if wish != "auto":
        raise UsageError(f"{found.reason} Or use `--device cpu`.")
    say(f"{found.reason} The CPU is taken.")
    return "cpu"


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
    """Turn auto into bf16 where the device computes it faster, else fp32: by its kind, not by a stopwatch.

    A timing would make the scores depend on how busy the machine happened to be.
    """
    if wish != "auto":
        return wish
    return "bf16" if bf16_is_faster(device) else "fp32"


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
    return sys.platform != "linux" or _node() is not None


def _node() -> str | None:
    return next((node for node in _DRIVER_NODES if Path(node).exists()), None)


@lru_cache
def _probed(device: str, precision: Precision) -> GpuProbe:
    return probe_gpu(device, precision)


def _hidden() -> str | None:
    """Say that there is a driver and no device; None where there is no driver, or the user has hidden its devices."""
    node = _node()
    if node is None or os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
        return None
    return (
        f"{node} is here and torch finds no CUDA device: `nvidia-smi` says whether the driver works, and "
        "`python -c 'import torch; print(torch.version.cuda)'` whether this torch was built for CUDA."
    )


def _cuda_device_count() -> int:
    """Count CUDA devices, importing torch only where a driver can be there."""
    if not has_driver():
        return 0
    import torch

    return torch.cuda.device_count()


def _absent(wish: str, count: int) -> str:
    if not count:
        return (
            f"Device '{wish}' was asked for and no CUDA device was found. Use `--device cpu`, or check that "
            "`nvidia-smi` lists a GPU and that the installed torch was built with CUDA."
        )
    return f"Device '{wish}' was asked for and there are only cuda:0 to cuda:{count - 1}. Use one of these."
