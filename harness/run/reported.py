"""How a job on another machine ended, as plain values: its result, or the message, kind and traceback of a failure."""

from __future__ import annotations

from typing import Any

from harness.errors import BenchError, MachineDiffers
from harness.run.job_server import REFUSED, JobFailure
from harness.text.error_text import error_text, named_error, traceback_text

RESULT, FAILURE = "result", "failure"
LOST, NO_MEMORY = "lost", "OutOfMemory"
"""Kinds of failure: of a job whose machine was lost again and again; of a machine's memory."""
Reported = tuple[str, Any]


def failure_of(error: BaseException) -> Reported:
    """Explain the exception that is being handled: a refusal and a deliberate error have no traceback."""
    if isinstance(error, JobFailure):
        return FAILURE, (error.message, error.kind, error.trace)
    if isinstance(error, BenchError):
        kind = REFUSED if isinstance(error, MachineDiffers) else type(error).__name__
        return FAILURE, (error_text(error), kind, None)
    return FAILURE, (named_error(error), type(error).__name__, traceback_text())
