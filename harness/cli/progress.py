"""Tells what a run is doing and how long it will take: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from harness.protocols import NOTICE
from harness.record import RunRecord, name_of
from harness.text.outside_text import visible

_PLAIN_SECONDS = 10.0
_LIVE_SECONDS = 0.1


@dataclass
class Phase:
    """When a phase of a job began, when it was last written, and how far it was."""

    started: float
    written: float = 0.0
    done: int = 0


@dataclass
class ConsoleReporter:
    """Writes progress to standard error, so that standard output holds results only."""

    metric: str
    total: int = 0
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    last_write: float = 0.0
    phases: dict[str, Phase] = field(default_factory=dict)
    width: int = 0

    def plan(self, cells: int) -> None:
        """Say how many cells are to come."""
        self.total = cells

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far a phase has come; often called, from several jobs at once, and seldom written."""
        if total == NOTICE:
            self.say(what)
            return
        now = time.monotonic()
        phase = self.phases.get(what)
        if phase is None or done < phase.done:
            phase = self.phases[what] = Phase(now)
        phase.done = done
        if self._is_due(phase, now):
            phase.written = self.last_write = now
            self._write_line(self._line(what, done, total, now - phase.started))

    def _is_due(self, phase: Phase, now: float) -> bool:
        """A terminal is refreshed all the time; a pipe gets a phase's first line, and one every ten seconds."""
        if self._live:
            return now - self.last_write >= _LIVE_SECONDS or not phase.written
        return not phase.written or now - phase.written >= _PLAIN_SECONDS

    def say(self, message: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(visible(message), file=self.stream, flush=True)

    def finish(self, record: RunRecord) -> None:
        """Print a cell's result in one line."""
        if record.status != "skipped":
            self.done += 1
        if self.done == 1:  # what comes before the first row, such as a prerequisite, comes once
            self.started = time.monotonic()
        self.say(f"{self._position()}{_result(record, self.metric)}")

    def close(self) -> None:
        """Take the live line away."""
        self._clear()

    @property
    def _live(self) -> bool:
        return self.stream.isatty()

    def _position(self) -> str:
        return f"[{self.done}/{self.total}] " if self.total else ""

    def _line(self, what: str, done: int, total: int, spent: float) -> str:
        parts = [f"[{self.done}/{self.total}]" if self.total else "", what]
        if total:
            parts.append(f"{done}/{total}")
            if 0 < done < total and spent > 1:
                parts.append(f"{_duration(spent / done * (total - done))} left")
        parts.append(self._remaining(time.monotonic()))
        return "  ".join(part for part in parts if part)

    def _remaining(self, now: float) -> str:
        if self.done < 2 or self.done >= self.total:
            return ""
        each = (now - self.started) / (self.done - 1)
        return f"(run: about {_duration(each * (self.total - self.done))} to go)"

    def _write_line(self, line: str) -> None:
        text = visible(line).replace("\n", " ")
        if not self._live:
            print(text, file=self.stream, flush=True)
            return
        self.stream.write("\r" + text[:200].ljust(self.width))
        self.stream.flush()
        self.width = min(len(text), 200)

    def _clear(self) -> None:
        if self._live and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()
            self.width = 0


def _result(record: RunRecord, metric: str) -> str:
    name = name_of(record.model, record.control)
    if record.status != "ok":
        return f"{name}: {record.status}: {record.error}"
    estimate = record.metrics.get(metric)
    score = f"{metric} {estimate.value:.3f} {estimate.bracket()}" if estimate else ""
    cost = record.efficiency
    parts = [f"{name} seed {record.seed}:", score]
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
