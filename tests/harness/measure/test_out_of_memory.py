"""Memory that runs out: recognised whoever says so, and met with halved batches until one sample does not fit."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from harness.errors import OutOfMemory
from harness.measure.out_of_memory import halving, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("CUDA out of memory. Tried"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


class Taken:
    """What an attempt holds while it runs."""


def test_batches_are_halved_when_the_failed_attempt_has_let_go() -> None:
    tried, told, held = list[int](), list[int](), list[weakref.ref[Taken]]()

    def attempt(size: int) -> str:
        taken = Taken()
        held.append(weakref.ref(taken))
        tried.append(size)
        if size > 3:
            raise torch.OutOfMemoryError("planted")
        return f"done by {size}"

    def tell(size: int) -> None:
        gc.collect()
        assert held[-1]() is None
        told.append(size)

    assert halving(attempt, 27, tell, "while trying") == ("done by 3", 3)
    assert (tried, told) == ([27, 13, 6, 3], [13, 6, 3])
    assert halving(attempt, 3, tell, "while trying") == ("done by 3", 3)
    assert len(told) == 3


def test_one_sample_that_does_not_fit_ends_it_and_so_does_any_other_error() -> None:
    def without_memory(size: int) -> None:
        raise MemoryError

    def wrong(size: int) -> None:
        raise ValueError("out of memory")

    with pytest.raises(OutOfMemory, match="memory while trying one sample at a time"):
        halving(without_memory, 4, lambda size: None, "while trying")
    with pytest.raises(ValueError, match="out of memory"):
        halving(wrong, 4, lambda size: None, "while trying")
