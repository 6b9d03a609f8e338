"""How many processors this process may use."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """Count the processors that the system lets this process run on: all, or those that `taskset` left it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
