"""A tensor that says it is on `cuda:N` and holds its values on the CPU; its operators raise what CUDA's would.

FakeTensorMode cannot stand in: without a driver autograd aborts on a CUDA tensor, and decoding, suppression and
matching depend on values. Here values are real, and only the bookkeeping of devices is pretended.

What is exact: operands on several devices, `.numpy()` of a device tensor, generators of the CPU drawing on the device,
indices on another device, tensors of another index. What cannot be seen: kernels that CUDA lacks for a dtype, its own
list of operators under autocast (the CPU's is taken), fused optimisers and cuDNN, real memory and time, other rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map

from .waits import Waits, calling_line


@dataclass
class PretendDevice:
    """A pretended device `cuda:INDEX` and what was asked of it; `bf16` says whether it has units for that."""

    index: int = 0
    bf16: bool = True
    waits: Waits = field(default_factory=Waits)
    inside: int | None = None
    """Index of the device tensors that the operator now running has; what composite operators make goes there."""
    indexing: bool = False
    """Whether an element is being set or got."""


class DeviceTensor(torch.Tensor):
    """Says `cuda:index`; `inner` holds the values."""

    inner: torch.Tensor  # type: ignore[assignment]
    index: int  # type: ignore[assignment]
    pretend: PretendDevice

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor, pretend: PretendDevice, index: int) -> DeviceTensor:
        made: DeviceTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=torch.device("cpu"), requires_grad=False,
        )  # fmt: skip
        made.inner, made.pretend, made.index = inner, pretend, index
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        values = (*args, *(kwargs or {}).values())
        pretend = next(one.pretend for one in _operands(values) if isinstance(one, DeviceTensor))
        return run_operator(pretend, func, args, kwargs or {})

    # ---- where it is

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda", self.index)

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return False

    def get_device(self) -> int:
        return self.index

    # ---- how its values come to the host

    def _fetched(self, kind: str) -> torch.Tensor:
        self.pretend.waits.note(kind)
        return self.inner.detach()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"can't convert cuda:{self.index} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )

    __array__ = numpy

    def tolist(self) -> Any:
        return self._fetched("copy to host").tolist()

    def item(self) -> Any:
        return self._fetched("scalar").item()

    def __bool__(self) -> bool:
        return bool(self._fetched("scalar"))

    def __float__(self) -> float:
        return float(self._fetched("scalar"))

    def __int__(self) -> int:
        return int(self._fetched("scalar"))

    def __index__(self) -> int:
        return self._fetched("scalar").__index__()

    def __format__(self, spec: str) -> str:
        return format(self._fetched("scalar"), spec)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"DeviceTensor(cuda:{self.index}, {self.inner!r})"

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def __contains__(self, other: object) -> bool:
        return bool(torch.eq(self, other).any())  # type: ignore[call-overload]

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return _ToHost.apply(self)  # type: ignore[no-any-return]

    def cuda(self, device: Any = None, *_: Any, **__: Any) -> torch.Tensor:
        return self.to("cuda" if device is None else device)

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        device, dtype, others = move_arguments(args, kwargs)
        if device is not None and device.type == "meta":
            return torch.empty_like(self.inner, device="meta", dtype=dtype or self.dtype)
        if device is not None and device.type == "cuda" and (device.index or 0) != self.index:
            raise RuntimeError(f"a tensor of cuda:{self.index} is moved to {device} at {calling_line()}")
        moved: torch.Tensor = self.cpu() if device is not None and device.type == "cpu" else self
        if dtype is not None:
            kept = {name: others[name] for name in ("copy", "memory_format") if others.get(name)}
            return torch.Tensor.to(moved, dtype, **kept)
        form = others.get("memory_format")
        return moved if form is None else moved.contiguous(memory_format=form)

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:  # type: ignore[override]
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    def type(self, dtype: Any = None, *_: Any, **__: Any) -> Any:
        return f"torch.cuda.{str(self.inner.type()).rpartition('.')[2]}" if dtype is None else self.to(dtype)

    def pin_memory(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(f"cannot pin 'torch.cuda.{self.dtype}': only dense CPU tensors can be pinned")

    # ---- copies of modules

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("a tensor of the pretended device is being pickled: copy it to the host first")

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        made = self.detach().clone().requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            made._is_param = True
        memo[id(self)] = made
        return made


class _ToHost(torch.autograd.Function):
    """`.cpu()` with its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: DeviceTensor) -> torch.Tensor:
        ctx.place = tensor.pretend, tensor.index
        return tensor._fetched("copy to host").clone()

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        return DeviceTensor(slope.clone(), *ctx.place)


class ToDevice(torch.autograd.Function):
    """`.to(device)` with its gradient; blocking copies are noted by whoever calls it."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, pretend: PretendDevice, index: int) -> DeviceTensor:
        return DeviceTensor(tensor.detach().clone(), pretend, index)

    @staticmethod
    def backward(ctx: Any, slope: Any) -> Any:
        return values_of(slope).clone(), None, None


def values_of(value: Any) -> Any:
    """Give the values of a device tensor, and anything else as it is."""
    return value.inner if isinstance(value, DeviceTensor) else value


def _host_side(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)([values_of(one) for one in value])
    return values_of(value)


def move_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[torch.device | None, Any, dict[str, Any]]:
    """Read a call of `Tensor.to`: device, dtype, and its other keywords."""
    others = dict(kwargs)
    device, dtype = others.pop("device", None), others.pop("dtype", None)
    for position, value in enumerate(args):
        if isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, torch.Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, bool):
            others[("copy", "non_blocking")[position < 3 and "non_blocking" not in others]] = value
        elif value is not None:
            device = value
    return (None if device is None else torch.device(device)), dtype, others


_FACTORIES = {
    "empty", "zeros", "ones", "full", "arange", "rand", "randn", "randint", "randperm", "scalar_tensor", "eye",
    "linspace", "logspace", "normal", "range", "empty_strided", "tril_indices", "triu_indices", "hann_window",
}  # fmt: skip
_STRICT = {
    "cat", "stack", "index_select", "gather", "embedding", "mm", "bmm", "addmm", "scatter", "index_add", "linear",
}  # fmt: skip
"""Operators that take no scalars of the host either."""
_MOVES = {"copy_", "_to_copy", "copy", "_copy_from", "set_"}
_INDEXING = {"index", "index_put_", "index_put", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
_WAITING = {
    **dict.fromkeys(("_local_scalar_dense", "is_nonzero", "equal"), "scalar"),
    **dict.fromkeys(("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive"), "size"),
}
"""Operators whose result the host needs before it can go on: a value, or the size of what follows."""


def run_operator(pretend: PretendDevice, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Run one operator: check where its operands are, compute on the CPU, put the result where CUDA would."""
    name = func._schema.name.partition("::")[2]
    tensors = _operands((*args, *kwargs.values()))
    there = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
    index = there[0].index if there else None
    asked = asked_index(kwargs.get("device"))
    if asked is not None:
        if index is not None and asked != index:
            raise RuntimeError(f"{name} moves a tensor of cuda:{index} to cuda:{asked} at {calling_line()}")
        if index is None and tensors and not kwargs.get("non_blocking"):
            pretend.waits.note("copy to device")
        kwargs = {**kwargs, "device": torch.device("cpu"), **({"pin_memory": False} if "pin_memory" in kwargs else {})}
        index = asked
    elif index is None and name in _FACTORIES:
        index = pretend.inside
    if index is None:
        return func(*args, **kwargs)
    _check_generator(name, kwargs.get("generator"))
    _check_places(pretend, name, args, tensors)
    _note_waits(pretend, name, args, kwargs)
    made = func(*map(_host_side, args), **{key: _host_side(value) for key, value in kwargs.items()})
    if name == "_local_scalar_dense":
        return made
    if name == "copy_":
        return _copied(pretend, args, kwargs)
    wrapped = tree_map(lambda value: _wrapped(value, pretend, index), made)
    return _with_aliases(func, args, kwargs, wrapped) if there else wrapped


def _operands(values: Iterable[Any]) -> list[torch.Tensor]:
    """List the tensors of a call; operators take them one by one or in lists."""
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [one for one in value if isinstance(one, torch.Tensor)]
    return found


def asked_index(device: Any) -> int | None:
    """Which CUDA device a keyword `device` names, None for none."""
    if device is None:
        return None
    asked = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    return (asked.index or 0) if asked.type == "cuda" else None


def _wrapped(value: Any, pretend: PretendDevice, index: int) -> Any:
    plain = isinstance(value, torch.Tensor) and not isinstance(value, DeviceTensor) and value.device.type == "cpu"
    return DeviceTensor(value, pretend, index) if plain else value


def _copied(pretend: PretendDevice, args: Any, kwargs: Mapping[str, Any]) -> Any:
    target, source = args[0], args[1]
    blocking = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
    if not isinstance(target, DeviceTensor):
        pretend.waits.note("copy to host")
    elif not isinstance(source, DeviceTensor) and blocking:
        pretend.waits.note("copy to device")
    return target


def _with_aliases(func: Any, args: Any, kwargs: Mapping[str, Any], made: Any) -> Any:
    """Let a view or an operator in place return what torch would: the same tensor, or one with the same storage."""
    schema = func._schema
    if not schema.is_mutable and not any(returned.alias_info for returned in schema.returns):
        return made
    with suppress(RuntimeError):
        return return_and_correct_aliasing(func, args, dict(kwargs), made)
    return args[0] if schema.is_mutable else made


def _check_generator(name: str, generator: torch.Generator | None) -> None:
    if generator is not None and generator.device.type == "cpu" and name not in _MOVES:
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu' ({name} at {calling_line()})")


def _check_places(pretend: PretendDevice, name: str, args: Any, tensors: Sequence[torch.Tensor]) -> None:
    """Raise what CUDA raises for operands of several devices."""
    there = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
    here = [tensor for tensor in tensors if not isinstance(tensor, DeviceTensor) and tensor.device.type == "cpu"]
    if len({tensor.index for tensor in there}) > 1:
        raise _mixed(name, tensors)
    if not there or not here or name in _MOVES:
        return
    if name in _INDEXING or (name == "index_fill_" and pretend.indexing):
        if not isinstance(args[0], DeviceTensor):
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor (cpu) at {calling_line()}"
            )
        values = [value for value in args[2:3] if isinstance(value, torch.Tensor)]
        if any(not isinstance(value, DeviceTensor) and value.ndim for value in values):
            raise _mixed(name, tensors)
        pretend.waits.note("copy to device")  # an index on the host is copied first
        return
    if name in _STRICT or any(tensor.ndim for tensor in here):
        raise _mixed(name, tensors)


def _mixed(name: str, tensors: Sequence[torch.Tensor]) -> RuntimeError:
    where = ", ".join(sorted({str(tensor.device) for tensor in tensors}))
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {where}! (when checking "
        f"arguments in method {name} of shapes {[tuple(tensor.shape) for tensor in tensors]} at {calling_line()})"
    )


def _note_waits(pretend: PretendDevice, name: str, args: Any, kwargs: Mapping[str, Any]) -> None:
    if name in _WAITING:
        pretend.waits.note(_WAITING[name])
    if name in _INDEXING and any(
        isinstance(mask, torch.Tensor) and mask.dtype in (torch.bool, torch.uint8) for mask in args[1]
    ):
        pretend.waits.note("size")  # a mask: how many are true decides the shape
    if name == "repeat_interleave" and kwargs.get("output_size") is None and len(args) == 1:
        pretend.waits.note("size")
