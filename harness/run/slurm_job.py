"""What a job of SLURM executes: it calls one job of the run, notes its reports in a file, and says how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.protocols import NOTICE
from harness.run.reported import RESULT, Reported, failure_of

_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class SentJob:
    """A job and its arguments; its reports are lines of JSON in a file that all machines see."""

    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    reports: Path

    def __call__(self) -> Reported:
        """Call the job; whatever goes wrong in it is returned, not raised."""
        sent = 0.0

        def progress(what: str, done: int, total: int) -> None:
            nonlocal sent
            if total == NOTICE or time.monotonic() - sent >= _REPORT_SECONDS:
                sent = time.monotonic()
                with self.reports.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([what, done, total]) + "\n")

        try:
            return RESULT, self.job(*self.arguments, progress)
        except Exception as error:
            return failure_of(error)

    def checkpoint(self) -> Any:
        """Say what is to be run when SLURM takes the machine away: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
