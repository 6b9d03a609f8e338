"""TensorBoard: event files under RESULTS/tensorboard, one folder a run, written without TensorFlow or torch."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.tables.document import markdown_table
from harness.report.tables.table import Table, TableCell, TableColumn, TableRow
from harness.report.track.tracker import LoggedValue, TrackedRun


@dataclass(frozen=True)
class TensorBoard:
    """Writes event files below a local folder."""

    folder: Path
    name: str = "tensorboard"
    destination: str = "tensorboard"

    @property
    def where(self) -> str:
        """The command that shows them."""
        return f"tensorboard --logdir {self.folder}"

    def start(self, run: TrackedRun) -> EventLog:
        """Open an event file in a folder of the run's name and fingerprint: two settings never share a curve."""
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = self.folder / run_folder_name(run)
        log = EventLog(EventFileWriter(str(folder)), folder)
        log.text("config", "```json\n" + json.dumps(run.config, indent=1, default=str) + "\n```")
        return log


@dataclass(frozen=True)
class EventLog:
    """One event file."""

    writer: Any
    folder: Path

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Add scalars at a step."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]), step)

    def summary(self, values: Mapping[str, float]) -> None:
        """Add scalars at step 0."""
        self.curve(0, values)

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[LoggedValue]]) -> None:
        """Add the table as Markdown, which the text tab draws."""
        columns = tuple(TableColumn(each, kind="cost") for each in header)
        lines = tuple(TableRow(tuple(TableCell(value, word=_word(value)) for value in row)) for row in rows)
        self.text(name, markdown_table(Table(name, name, columns, lines)))

    def file(self, path: Path) -> None:
        """Lay a copy beside the event file: TensorBoard shows no files."""
        shutil.copyfile(path, self.folder / path.name)

    def text(self, name: str, content: str) -> None:
        """Add a text, Markdown."""
        from tensorboard.plugins.text.summary import text_pb

        self._add(text_pb(name, content), 0)

    def finish(self, *, ok: bool) -> None:
        """Close the file; TensorBoard has no states of runs, so a failure is a text."""
        if not ok:
            self.text("status", "failed")
        self.writer.close()

    def _add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def run_folder_name(run: TrackedRun) -> str:
    """Name a run's folder; names come from outside and must not lead out of it.

    >>> run_folder_name(TrackedRun("t/hf:../../a b[C1]/seed0", "0123456789abcdef", "t", {}))
    't/hf_.._.._a_b[C1]/seed0-01234567'
    """
    task, _, rest = run.name.partition("/")
    model, _, seed = rest.rpartition("/")
    parts = [re.sub(r"[^\w.\[\]=+-]", "_", part) for part in (task, model, seed) if part]
    return "/".join(f"_{part}" if part.strip(".") == "" else part for part in parts) + f"-{run.key[:8]}"


def _word(value: LoggedValue) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
