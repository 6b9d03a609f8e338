"""A sign of life from within a long phase, made by the thread that works: one that hangs is silent.

A thread beside it would go on reporting though the work stood still, and `--job-timeout` would never end it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from harness.protocols import Progress

_EVERY_SECONDS = 1.0


@dataclass
class Heartbeat:
    """Call it as often as the work allows; it reports at most once a second, so that timed work is not disturbed."""

    progress: Progress
    what: str
    last: float = field(default_factory=time.monotonic)

    def __call__(self) -> None:
        """Report, unless that was done within the last second."""
        now = time.monotonic()
        if now - self.last >= _EVERY_SECONDS:
            self.last = now
            self.progress(self.what, 0, 0)
