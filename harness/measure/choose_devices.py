"""Chooses what a run computes on: the CPU, or the GPUs on which a child process could compute.

Each job is shown one GPU, by CUDA_VISIBLE_DEVICES, so inside it that is `cuda`, whichever it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from harness.errors import UsageError
from harness.measure.device import VISIBLE, cuda_device_count, driver_node, resolve_precision
from harness.measure.gpu_probe import GpuProbe, probe_gpu
from harness.measure.nvml import divided_gpus
from harness.option_fields import Precision

_BY_NAME = ("GPU-", "MIG-")
"""Beginnings of the names that the driver gives to GPUs and to parts of them."""


@dataclass(frozen=True)
class DeviceWish:
    """What the user asks for: `--device` a kind or one GPU, `--devices` a list of GPUs, `all` or nothing.

    `elsewhere` says that jobs run on other machines: these need GPUs, and this one need not have any.
    """

    device: str = "auto"
    devices: str | None = None
    elsewhere: bool = False

    @property
    def names(self) -> tuple[str, ...] | None:
        """The GPUs that are asked for one by one; None for all of them."""
        if self.devices is not None and self.devices != "all":
            return tuple(dict.fromkeys(name.strip() for name in self.devices.split(",")))
        return (self.device,) if self.device.startswith("cuda:") else None


@dataclass(frozen=True)
class Devices:
    """A kind, `cpu` or `cuda`, and the GPUs that take jobs, as CUDA_VISIBLE_DEVICES names each.

    `precisions` are what `auto` means on each; `cards` name them.
    """

    kind: str
    gpus: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    cards: tuple[str, ...] = ()

    def precision(self, wish: Precision) -> Precision:
        """Settle in which precision to compute; raises UsageError where `auto` is not one on all GPUs."""
        if wish != "auto" or self.kind == "cpu":
            return resolve_precision(wish, "cpu")
        if not self.precisions:
            raise UsageError(
                "The precision 'auto' is that of the GPU, and none is here to be asked. Give what those of the other "
                "machines compute in: --set train.precision=bf16 --set evaluate.precision=bf16 (or fp16, fp32)."
            )
        if len(set(self.precisions)) > 1:
            each = ", ".join(
                f"{p} on {card}" for p, card in dict.fromkeys(zip(self.precisions, self.cards, strict=True))
            )
            raise UsageError(
                f"The precision 'auto' is {each}, and scores of a row need one. Name GPUs of one kind with --devices, "
                "or give --set train.precision=fp32 --set evaluate.precision=fp32."
            )
        return self.precisions[0]

    def __str__(self) -> str:
        """Say what it is in a line on the console.

        >>> str(Devices("cpu")), str(Devices("cuda", ("0", "1"), ("bf16",) * 2, ("H100 (sm_90)",) * 2))
        ('cpu', '2 GPUs, H100 (sm_90)')
        """
        if not self.gpus:
            return self.kind
        count = f"{len(self.gpus)} GPU{'s' if len(self.gpus) > 1 else ''}"
        return ", ".join([count, *dict.fromkeys(self.cards)])


@dataclass(frozen=True)
class _Candidate:
    """A GPU: what messages call it, and what CUDA_VISIBLE_DEVICES does."""

    name: str
    visible: str


def choose_devices(wish: DeviceWish, say: Callable[[str], None], precision: Precision = "auto") -> Devices:
    """Choose the devices of a run.

    `auto` and `cuda` take every GPU that is visible and that torch can use, and say which cannot be used and why;
    without any, `auto` takes the CPU. Devices are counted through NVML where it answers, so a process that asks can
    still be forked; a machine without a driver is known without importing torch. Whether torch can use one, in this
    precision, is found by a child process, once a process. Raises UsageError for other names, for GPUs that are asked
    for and are not there or cannot be used, and for `cuda` where none can be.
    """
    _check(wish)
    if wish.device == "cpu":
        return Devices("cpu")
    if wish.elsewhere and wish.device == "cuda" and not cuda_device_count():
        return Devices("cuda")
    candidates = _candidates(wish)
    if not candidates:
        if why := _hidden():
            say(f"{why} The CPU is taken.")
        return Devices("cpu")
    found = _probe_all(candidates, precision)
    usable = [(c, probe) for c, probe in zip(candidates, found, strict=True) if probe.failure is None]
    failed = [probe for probe in found if probe.failure is not None]
    is_asked = wish.device != "auto" or wish.devices is not None
    if failed and (wish.names is not None or (is_asked and not usable)):
        raise UsageError(f"{failed[0].reason} Or use `--device cpu`.")
    for probe in failed:
        say(f"{probe.reason} {'It is left out.' if usable else 'The CPU is taken.'}")
    if not usable:
        return Devices("cpu")
    cards = tuple(probe.facts.get("card", "unknown card") for _, probe in usable)
    if len(set(cards)) > 1:
        say(f"The GPUs differ ({', '.join(dict.fromkeys(cards))}): a latency is only comparable on the same one.")
    return Devices("cuda", tuple(c.visible for c, _ in usable), tuple(_precision(p) for _, p in usable), cards)


def _check(wish: DeviceWish) -> None:
    kind, _, index = wish.device.partition(":")
    if wish.device not in ("auto", "cpu", "cuda") and not (kind == "cuda" and index.isdecimal()):
        raise UsageError(
            f"Device '{wish.device}' is not understood. Known: auto, cpu, cuda, cuda:INDEX (such as cuda:0)."
        )
    if wish.devices is None:
        return
    if wish.device == "cpu" or index:
        raise UsageError(
            f"--device {wish.device} and --devices {wish.devices} contradict each other: give one of them."
        )
    for name in wish.names or ():
        if not (name.startswith(_BY_NAME) or _index(name) is not None):
            raise UsageError(
                f"--devices: '{name}' is not understood. Known: all, or a list of cuda:INDEX, GPU-… and MIG-… with "
                "commas between (`nvidia-smi -L` names them)."
            )


def _index(name: str) -> int | None:
    number = name.removeprefix("cuda:")
    return int(number) if number.isdecimal() else None


def _candidates(wish: DeviceWish) -> list[_Candidate]:
    """List the GPUs to try; raises UsageError for one that is asked for and not visible."""
    visible = _visible_gpus()
    if wish.names is None:
        if not visible and (wish.device != "auto" or wish.devices is not None):
            raise UsageError(_absent(wish.devices or wish.device, 0))
        return [_Candidate(f"cuda:{index}", gpu) for index, gpu in enumerate(visible)]
    return [_named(name, visible) for name in wish.names]


def _named(name: str, visible: Sequence[str]) -> _Candidate:
    index = _index(name)
    if index is not None and index < len(visible):
        return _Candidate(f"cuda:{index}", visible[index])
    is_fenced = os.environ.get(VISIBLE) is not None  # a scheduler's share of the machine is not to be left
    if index is not None or not visible or (is_fenced and name not in visible):
        raise UsageError(_absent(name, len(visible)))
    return _Candidate(name, name)


def _visible_gpus() -> tuple[str, ...]:
    """Name the GPUs that jobs may use, as CUDA_VISIBLE_DEVICES does: of a divided one, its parts."""
    count = cuda_device_count()
    if not count:
        return ()
    given = os.environ.get(VISIBLE)
    if given is None:
        return divided_gpus() or tuple(str(index) for index in range(count))
    names = tuple(name.strip() for name in given.split(","))
    # CUDA itself shows a process one part of a divided GPU; each of them can have a process of its own.
    return names if names[0].startswith("MIG-") else names[:count]


def _probe_all(candidates: Sequence[_Candidate], precision: Precision) -> list[GpuProbe]:
    with ThreadPoolExecutor(len(candidates)) as pool:
        return list(pool.map(lambda gpu: _probed(gpu.name, gpu.visible, precision), candidates))


@lru_cache
def _probed(name: str, visible: str, precision: Precision) -> GpuProbe:
    return probe_gpu(name, precision, visible=visible)


def _precision(probe: GpuProbe) -> Precision:
    """What `auto` means on a GPU, as the child has found."""
    known: dict[str, Precision] = {"bf16": "bf16", "fp16": "fp16", "fp32": "fp32"}
    return known[probe.facts["precision"]]


def _hidden() -> str | None:
    """Say that there is a driver and no device; None where there is no driver, or the user has hidden its devices."""
    node = driver_node()
    if node is None or os.environ.get(VISIBLE) is not None:
        return None
    return (
        f"{node} is here and torch finds no CUDA device: `nvidia-smi` says whether the driver works, and "
        "`python -c 'import torch; print(torch.version.cuda)'` whether this torch was built for CUDA."
    )


def _absent(wish: str, count: int) -> str:
    if not count:
        return (
            f"Device '{wish}' was asked for and no CUDA device was found. Use `--device cpu`, or check that "
            "`nvidia-smi` lists a GPU and that the installed torch was built with CUDA."
        )
    return f"Device '{wish}' was asked for and there are only cuda:0 to cuda:{count - 1}. Use one of these."
