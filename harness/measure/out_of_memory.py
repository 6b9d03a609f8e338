"""What to do when memory runs out: recognise it on any device, and go on with smaller batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.errors import OutOfMemory

_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "nable to find an engine",
)
"""What allocators say, and cuBLAS and cuDNN where their own workspaces find no room (cuDNN: no engine that fits)."""

Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory ran out, on any device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _NO_MEMORY)


def halving(compute: Callable[[int], Result], size: int, tell: Callable[[int], None], doing: str) -> tuple[Result, int]:
    """Compute in batches of at most `size` samples, halved as often as memory runs out; also gives the size that fits.

    `tell` is told each smaller size before it is tried, when the failed attempt has given its memory back. Raises
    OutOfMemory when even one sample does not fit; `doing` stands before "one sample" there.
    """
    while True:
        try:
            return compute(size), size
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if size <= 1:
                raise OutOfMemory(
                    f"Out of memory {doing} one sample at a time. Take a smaller model or image."
                ) from error
        size //= 2
        tell(size)
