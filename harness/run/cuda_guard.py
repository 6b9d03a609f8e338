"""Whether forks of this process can still use CUDA: once it was started here they cannot, whatever they do."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from typing import Any

from harness.measure.device import has_driver

NVML_CHECK = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""With it in the environment `torch.cuda.is_available()` asks NVML, and forks can still use CUDA afterwards."""


def cuda_started() -> str | None:
    """Say by what CUDA was started in this process, so that its forks cannot use it; None where it was not.

    torch knows of itself whether it has initialised CUDA; that a call has only counted devices through the runtime is
    known in a fork alone, so one is made for a moment, where a driver can be here.
    """
    torch: Any = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    if cuda is None:
        return None
    if cuda.is_initialized():
        return "initialises CUDA"
    if has_driver() and _forks_are_bad(cuda):
        return "asks the CUDA runtime for its devices"
    return None


def accusation(module: str, what: str) -> str:
    """Name who has started CUDA: the module, and the package by whose entry point it was imported."""
    entry = next((e for e in entry_points(group="bench.preload") if e.value == module), None)
    if entry is None:
        return f"importing {module} {what}, and processes forked after that cannot use it. Take another version of it."
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
    return (
        f"importing {module}, which the package '{package}' has preloaded (entry point '{entry.name}' of "
        f"bench.preload), {what}, and processes forked after that cannot use it. Take it out of bench.preload, or "
        "have the package leave CUDA alone while it is imported; meanwhile uninstall it."
    )


def _forks_are_bad(cuda: Any) -> bool:
    """Ask a fork, which ends at once, whether torch refuses CUDA there."""
    asked = getattr(cuda, "_is_in_bad_fork", None)  # private, so it may go away
    if asked is None:
        return False
    child = os.fork()
    if child == 0:
        bad = 1
        try:
            bad = int(bool(asked()))
        finally:
            os._exit(bad)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
