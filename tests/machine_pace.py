"""How fast this machine is at the moment, so that a limit of seconds means the same on a slow or a busy one."""

from __future__ import annotations

import time

import numpy as np

_REFERENCE_S = 0.1
"""CPU seconds of `_some_work` on a quiet core of the machine that limits in tests were stated for."""


def slowness() -> float:
    """CPU seconds of a fixed piece of work, in those of the machine that limits were stated for; 1 at least.

    A core whose twin is busy, or that is older, takes up to twice as long for the same; so may what a test measures.
    """
    return max(1.0, min(_some_work() for _ in range(3)) / _REFERENCE_S)


def cpu_seconds(started: float) -> float:
    """CPU seconds of this process since `time.process_time()` was `started`, in those of the stated machine."""
    return (time.process_time() - started) / slowness()


def _some_work() -> float:
    """Half of it in the interpreter, half in NumPy, as metrics are."""
    started = time.process_time()
    total = sum(n % 7 for n in range(700_000))
    values = np.arange(400_000, dtype=np.float64) % 1009
    for _ in range(3):
        values = np.sort(np.sin(values))
    assert total and len(values)
    return time.process_time() - started
