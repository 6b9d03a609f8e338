"""Tells what a run is doing and how long it will take: live bars on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from harness.protocols import NOTICE
from harness.record import RunRecord, name_of, prompt_of
from harness.text.outside_text import one_line, visible

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_SECONDS = 5.0
_LIVE_SECONDS = 0.1
_RUN = "run"
_CELL = re.compile(r" seed \d+$")
"""How the label of a cell ends, and of nothing else that tells its progress."""


class _Bars:
    """A bar for each cell that is at work, of its present phase, and one for the run; drawn when told, by no thread."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(24), MofNCompleteColumn())
        console = Console(file=stream, force_terminal=True)
        self.drawn = Progress(
            *columns, TimeRemainingColumn(), console=console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.bars: dict[str, tuple[str, TaskID]] = {}
        self.drawn.start()

    def show(self, what: str, done: int, total: int) -> None:
        """Move the bar of a cell, or begin one for its next phase; a total of 0 is not known."""
        cell = what.partition("  ")[0]
        phase, bar = self.bars.get(cell, ("", None))
        if bar is None or phase != what:
            self.drop(cell)
            bar = self.drawn.add_task(one_line(what), total=total or None)
            self.bars[cell] = (what, bar)
        self.drawn.update(bar, completed=done, total=total or None)

    def drop(self, cell: str) -> None:
        """Take a cell's bar away."""
        _, bar = self.bars.pop(cell, ("", None))
        if bar is not None:
            self.drawn.remove_task(bar)

    def say(self, message: str) -> None:
        """Print a line that stays, above the bars."""
        from rich.text import Text

        self.drawn.console.print(Text(message), soft_wrap=True)


@dataclass
class ConsoleReporter:
    """Writes progress to standard error, so that standard output holds results only."""

    metric: str
    total: int = 0
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    ends: list[float] = field(default_factory=list)
    """When each cell was done."""
    at_work: set[str] = field(default_factory=set)
    """Cells that have begun."""
    side_by_side: int = 1
    """How many cells were at work at once, at most."""
    written: float = 0.0
    began: dict[str, tuple[float, int]] = field(default_factory=dict)
    """When a phase began, and how far it was."""
    bars: _Bars | None = None

    def plan(self, cells: int) -> None:
        """Say how many cells are to come."""
        self.total = cells

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far a phase has come; often called, from several jobs at once, and seldom written."""
        if total == NOTICE:
            self.say(what)
            return
        now = time.monotonic()
        if _CELL.search(cell := what.partition("  ")[0]):
            self.at_work.add(cell)
            self.side_by_side = max(self.side_by_side, len(self.at_work))
        start, before = self.began.get(what, (now, 0))
        self.began[what] = (now if done < before else start, done)
        if self.stream.isatty():
            self._draw(what, done, total, now)
        elif not self.written or now - self.written >= _PLAIN_SECONDS:
            self.written = now
            print(one_line(self._line(what, done, total, now - self.began[what][0])), file=self.stream, flush=True)

    def say(self, message: str) -> None:
        """Print a line that stays."""
        if self.bars is not None:
            self.bars.say(visible(message))
        else:
            print(visible(message), file=self.stream, flush=True)

    def finish(self, record: RunRecord) -> None:
        """Print a cell's result in one line."""
        if record.status != "skipped":
            self.done += 1
            self.ends.append(time.monotonic())
        control = f" {record.control}" if record.control else ""
        prompt = prompt_of(record)
        cell = f"{record.model}{control} seed {record.seed}{f' prompt {prompt}' if prompt else ''}"
        self.at_work.discard(cell)
        if self.bars is not None:
            self.bars.drop(cell)
        self.say(f"{self._position()}{_result(record, self.metric)}")

    def close(self) -> None:
        """Take the bars away."""
        if self.bars is not None:
            self.bars.drawn.stop()
            self.bars = None

    def _draw(self, what: str, done: int, total: int, now: float) -> None:
        if self.bars is None:
            self.bars = _Bars(self.stream)
        self.bars.show(what, done, total)
        if self.total:
            self.bars.show(_RUN, self.done, self.total)
        if now - self.written >= _LIVE_SECONDS:
            self.written = now
            self.bars.drawn.refresh()

    def _position(self) -> str:
        return f"[{self.done}/{self.total}] " if self.total else ""

    def _line(self, what: str, done: int, total: int, spent: float) -> str:
        parts = [f"{self._position()}{what}"]
        if total:
            parts.append(f"{done}/{total}")
            if 0 < done < total and spent > 1:
                parts.append(f"{_duration(spent / done * (total - done))} left")
        parts.append(self._remaining(time.monotonic()))
        return ", ".join(part for part in parts if part)

    def _remaining(self, now: float) -> str:
        """Say how long the run still takes, from how fast cells were done since as many were as are side by side.

        What comes before, such as a prerequisite, comes once, and the first ones of cells side by side end together.
        """
        first = self.side_by_side
        if self.done <= first or self.done >= self.total:
            return ""
        each = (now - self.ends[first - 1]) / (self.done - first)
        return f"run: about {_duration(each * (self.total - self.done))} to go"


def _result(record: RunRecord, metric: str) -> str:
    name = name_of(record.model, record.control)
    if record.status != "ok":
        return f"{name}: {record.status}: {record.error}"
    estimate = record.metrics.get(metric)
    score = f"{metric} {estimate.value:.3f} {estimate.bracket()}" if estimate else ""
    cost = record.efficiency
    prompt = prompt_of(record)
    parts = [f"{name} seed {record.seed}{f' prompt {prompt}' if prompt else ''}:", score]
    if cost.latency_p50_seconds is not None:
        parts.append(f"p50 latency {cost.latency_p50_seconds * 1e3:.1f} ms")
    if cost.peak_memory_bytes is not None:
        parts.append(f"{cost.peak_memory_bytes / 2**20:.0f} MiB")
    if cost.train_seconds:
        parts.append(f"training {cost.train_seconds:.1f} s")
    if cost.notes.get("noisy"):
        parts.append(f"(noisy: {'; '.join(cost.notes['noisy'])})")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
