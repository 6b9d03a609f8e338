"""Errors that say something of the device: that it is lost to this process, or that it lacks a deterministic form."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from harness.errors import NotDeterministic
from harness.measure.out_of_memory import is_out_of_memory

_PHRASES = ("CUDA error", "CUDA driver error", "HIP error", "_STATUS_EXECUTION_FAILED", "_STATUS_INTERNAL_ERROR")
"""Of RuntimeErrors by which the libraries beside torch tell the same."""

_REFUSED = re.compile(r"(\S+) does not have a deterministic implementation, but you set ")
"""How torch begins to refuse an operation, its name first."""


def lost_device(error: BaseException) -> BaseException | None:
    """Find the error that cost this process its device: the one given, or what it was raised from or while handling.

    After a device-side assert or a wrong address every later call fails in the same way, whoever makes it, and kernels
    report late. Memory that ran out is another matter: that process can go on.
    """
    for found in _chain(error):
        if is_out_of_memory(found):
            continue
        told = isinstance(found, RuntimeError) and any(phrase in str(found) for phrase in _PHRASES)
        if told or isinstance(found, torch.AcceleratorError):
            return found
    return None


def ends_process(error: BaseException) -> bool:
    """Whether what shares this process must be run anew without it: memory ran out, or the device is lost."""
    return is_out_of_memory(error) or lost_device(error) is not None


def refused_operation(error: BaseException) -> NotDeterministic | None:
    """Word anew what torch says of an operation that has no deterministic form; None for any other error."""
    for found in _chain(error):
        if isinstance(found, RuntimeError) and (match := _REFUSED.match(str(found))):
            return NotDeterministic(
                f"{match[1]} has no deterministic form on this device, and train.deterministic=true asks for such "
                "operations alone. Leave train.deterministic out, take another model or part of it, or the CPU."
            )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
