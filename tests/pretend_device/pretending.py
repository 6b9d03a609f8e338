"""Within it CUDA devices are there: modes that send operators to the pretended device, and torch's own API for it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch._dynamo  # its tables name functions of torch, so they are made before these are replaced
from torch.nn.utils import clip_grad
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from harness.measure import choose_devices, device
from harness.measure.gpu_probe import GpuProbe

from .device_tensor import DeviceTensor, PretendDevice, ToDevice, asked_index, move_arguments, run_operator, values_of

NAME = "Pretended GPU"
BYTES = 123 << 20
"""What the pretended allocator says that it holds."""
_SILENT = ("synchronize", "empty_cache", "reset_peak_memory_stats", "manual_seed_all", "manual_seed", "set_device",
           "init", "ipc_collect", "set_rng_state", "_lazy_init")  # fmt: skip
_MEMORY = ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved")


@contextmanager
def pretending(pretend: PretendDevice) -> Iterator[PretendDevice]:
    """Pretend that the devices up to `cuda:INDEX` are there, in this thread."""
    with pytest.MonkeyPatch.context() as patch:
        _cuda_api(patch, pretend)
        _without_native_paths(patch)
        patch.setattr(device, "has_driver", lambda: True)
        patch.setattr(choose_devices, "_probed", lambda *_: GpuProbe(NAME, None, _facts()))
        with _Functions(pretend), _Operators(pretend):
            yield pretend


def _facts() -> dict[str, str]:
    """What the child says of a device that it could use."""
    return {"card": NAME, "precision": device.resolve_precision("auto", "cuda:0")}


class _Operators(TorchDispatchMode):
    """Sees every operator, those without operands too."""

    def __init__(self, pretend: PretendDevice) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pretend = pretend

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run_operator(self.pretend, func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Sees calls before autograd does: moves to the device, and which device a composite operator works on."""

    def __init__(self, pretend: PretendDevice) -> None:
        super().__init__()
        self.pretend = pretend

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs.pop("pin_memory", None)
        if func is torch.Tensor.to and not isinstance(args[0], DeviceTensor):
            place, dtype, others = move_arguments(args[1:], kwargs)
            if place is not None and place.type == "cuda":
                return self._upload(args[0] if dtype is None else args[0].to(dtype), place, others)
        if func is torch.Tensor.cuda and not isinstance(args[0], DeviceTensor):
            place, _, others = move_arguments(args[1:], kwargs)
            return self._upload(args[0], place or torch.device("cuda", 0), others)
        if func is torch.Tensor.is_pinned:
            return False
        if func in (torch.tensor, torch.as_tensor) and not (args and isinstance(args[0], DeviceTensor)):
            return self._made(func, args, kwargs)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(args[0], DeviceTensor):
            return self._indexed(func, args)
        return self._composite(func, args, kwargs)

    def _upload(self, tensor: torch.Tensor, place: torch.device, others: dict[str, Any]) -> Any:
        if not others.get("non_blocking"):
            self.pretend.waits.note("copy to device")
        return ToDevice.apply(tensor, self.pretend, place.index or 0)

    def _made(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """`torch.tensor` of numbers: they are copied where it is made, and device scalars among them to the host."""
        index = asked_index(kwargs.get("device"))
        if args and any(isinstance(leaf, DeviceTensor) for leaf in tree_leaves(args[0])):
            self.pretend.waits.note("scalar")
            args = (tree_map(values_of, args[0]), *args[1:])
        if index is None:
            return func(*args, **kwargs)
        wants_grad = bool(kwargs.pop("requires_grad", False))
        made = func(*args, **{**kwargs, "device": "cpu"})
        if made.numel():
            self.pretend.waits.note("copy to device")
        return DeviceTensor(made, self.pretend, index).requires_grad_(wants_grad)

    def _indexed(self, func: Any, args: Any) -> Any:
        self.pretend.indexing = True
        try:
            return func(args[0], self._on_device(args[1], args[0].index), *args[2:])
        finally:
            self.pretend.indexing = False

    def _on_device(self, key: Any, index: int) -> Any:
        """Lists among indices become tensors of the indexed tensor's device, as in torch's own indexing."""
        if isinstance(key, tuple):
            return tuple(self._on_device(part, index) for part in key)
        if isinstance(key, list) and not any(isinstance(leaf, DeviceTensor) for leaf in tree_leaves(key)):
            self.pretend.waits.note("copy to device")
            dtype = torch.bool if key and isinstance(key[0], bool) else torch.int64
            return DeviceTensor(torch.tensor(key, dtype=dtype), self.pretend, index)
        return key

    def _composite(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        before = self.pretend.inside
        there = (one.index for one in (*args, *kwargs.values()) if isinstance(one, DeviceTensor))
        if args and isinstance(args[0], list | tuple):
            there = (one.index for one in args[0] if isinstance(one, DeviceTensor))
        self.pretend.inside = next(there, before)
        try:
            return func(*args, **kwargs)
        finally:
            self.pretend.inside = before


def _cuda_api(patch: pytest.MonkeyPatch, pretend: PretendDevice) -> None:
    """Let torch and its users believe that the devices are there."""
    cuda: Any = torch.cuda
    properties = types.SimpleNamespace(name=NAME, total_memory=80 * 2**30, major=9, minor=0, multi_processor_count=132)
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: pretend.index + 1,
        "current_device": lambda: 0,
        "is_initialized": lambda: True,
        "get_device_properties": lambda device=None: properties,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: (9, 0) if pretend.bf16 else (6, 0),
        "is_bf16_supported": lambda including_emulation=True: pretend.bf16 or including_emulation,
        "get_rng_state_all": list,
        "device": _CurrentDevice,
        **dict.fromkeys(_SILENT, _nothing),
        **dict.fromkeys(_MEMORY, lambda device=None: BYTES),
    }
    for name, answer in answers.items():
        patch.setattr(cuda, name, answer)


def _nothing(*_: Any, **__: Any) -> None:
    return None


class _CurrentDevice:
    """`torch.cuda.device(...)`: which device is current changes nothing here."""

    def __init__(self, device: Any) -> None:
        self.device = device

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: Any) -> None:
        return None


def _without_native_paths(patch: pytest.MonkeyPatch) -> None:
    """Turn off what would look for a real device behind the pretended one."""
    patch.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: False)
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # an LSTM would be asked of it in bf16 all the same
        patch.setattr(torch.backends.mkldnn, "enabled", False)
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        if hasattr(torch.optim.Optimizer, name):
            patch.setattr(torch.optim.Optimizer, name, lambda self: None)
    patch.setattr(torch.autocast, "__init__", _on_host(torch.autocast.__init__))
    patch.setattr(torch._C, "_InferenceMode", _NoGrad)
    grouped = clip_grad._group_tensors_by_device_and_dtype  # type: ignore[attr-defined]
    patch.setattr(clip_grad, "_group_tensors_by_device_and_dtype", _by_own_device(grouped))
    patch.setattr(torch.nn.Module, "_apply", _apply_by_swapping(torch.nn.Module._apply))


def _on_host(begin: Any) -> Any:
    """Autocast of the CPU in the place of the device's, whose list of operators differs."""

    def __init__(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        begin(self, "cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    return __init__


def _by_own_device(grouped: Any) -> Any:
    """Group tensors by the device that they say: below Python they are on the CPU."""

    def by_own_device(lists: Any, *options: Any) -> Any:
        found = grouped(lists, *options).items()
        return {(group[0][0][0].device, dtype): group for (_, dtype), group in found}

    return by_own_device


class _NoGrad:
    """Stands for inference mode, in which no views of wrapped tensors can be made."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(self.before and not self.mode)

    def __exit__(self, *_: Any) -> None:
        torch.set_grad_enabled(self.before)


def _apply_by_swapping(apply: Any) -> Any:
    """Let parameters keep their identity when a module is moved, as they do on a GPU."""

    def _apply(self: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(self, *args, **kwargs)  # type: ignore[no-any-return]
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    return _apply
