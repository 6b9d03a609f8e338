"""What a tracker must do, so that one function can feed any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

LoggedValue = str | int | float | None
"""What stands in one place of a table."""


@dataclass(frozen=True)
class TrackedRun:
    """How a tracker's run is named and what it was made with.

    `name` is TASK/MODEL[CONTROL]/seedN or TASK/leaderboard, `key` the fingerprint behind it (or a digest of the table),
    `group` the task. `config` is flat, with dotted keys, and JSON-able.
    """

    name: str
    key: str
    group: str
    config: Mapping[str, Any]


class RunLog(Protocol):
    """One open run of a tracker."""

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curves; steps rise from call to call."""
        ...

    def summary(self, values: Mapping[str, float]) -> None:
        """Log the numbers that the run ended with."""
        ...

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[LoggedValue]]) -> None:
        """Log a table; a column holds either words or numbers, and None where there is nothing."""
        ...

    def file(self, path: Path) -> None:
        """Keep a copy of a file, a page where the tracker can show one."""
        ...

    def finish(self, *, ok: bool) -> None:
        """Close the run, as failed where it is not ok."""
        ...


class Tracker(Protocol):
    """Where runs are logged."""

    @property
    def name(self) -> str:
        """What `--log` calls it."""
        ...

    @property
    def destination(self) -> str:
        """Name the place without secrets: what is logged there is not logged there again."""
        ...

    @property
    def where(self) -> str:
        """Say to a person how to look at it."""
        ...

    def start(self, run: TrackedRun) -> RunLog:
        """Open a run; whatever the tracker's own library raises is passed on."""
        ...
