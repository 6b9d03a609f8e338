"""Counts how often the host waits for a pretended device, and where."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

_ROOT = f"{Path(__file__).parents[2]}/"
_OWN = tuple(f"{_ROOT}{package}/" for package in ("harness", "baselines", "tasks"))


@dataclass(frozen=True)
class Wait:
    """One line of the repository at which the host waited, and for what."""

    kind: str
    place: str


@dataclass
class Waits:
    """All waits so far. A copy that was asked for without blocking is none."""

    found: Counter[Wait] = field(default_factory=Counter)

    def note(self, kind: str) -> None:
        """Count one."""
        self.found[Wait(kind, calling_line())] += 1

    def total(self) -> int:
        """How many there were."""
        return self.found.total()


def calling_line() -> str:
    """Give the innermost line of the repository's own code that is running, `?` where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OWN):
            return f"{frame.f_code.co_filename[len(_ROOT) :]}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"
