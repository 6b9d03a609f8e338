"""Whom a run tells what it is doing."""

from __future__ import annotations

from typing import Protocol

from harness.record import RunRecord


class Reporter(Protocol):
    """Takes in what a run is doing; progress and messages come from several threads."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A part of it has come so far."""
        ...

    def say(self, message: str) -> None:
        """Something that the user must read."""
        ...

    def finish(self, record: RunRecord) -> None:
        """A cell has left its record."""
        ...
