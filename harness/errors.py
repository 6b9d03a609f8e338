"""Every deliberate error: each says what was seen, what was wanted and what to do next.

A `BenchError` is printed as one message without a traceback; any other exception is a bug of ours.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable

from harness.text.error_text import LONGEST_TRACEBACK, shortened


class BenchError(Exception):
    """Something that the user can mend; the message names the thing, the place and the remedy."""

    exit_code = 2


class UsageError(BenchError):
    """A request that cannot be understood: an unknown task, model, option or key."""


class MissingPath(UsageError):
    """A file or folder of weights that the user named and that is not there."""


class DataError(BenchError):
    """Data that is missing, broken or not what the task needs."""


class BadSample(DataError):
    """One image of the data that cannot be read."""


class WeightsUnavailable(BenchError):
    """Weights that are neither in a local folder nor reachable on a hub; the model is skipped, not failed."""


class CheckpointError(BenchError):
    """A checkpoint whose format, shapes or digest do not fit."""


class TrainingDiverged(BenchError):
    """A loss that is no longer a finite number."""


class OutOfMemory(BenchError):
    """Memory that was too small even for the smallest batch."""


class NotCompressible(BenchError):
    """A trained model of which a modifier of its name cannot make what it should."""


class NotDeterministic(BenchError):
    """An operation that has no deterministic form, where only such were asked for."""


class MachineDiffers(BenchError):
    """A machine that a cell was sent to and whose packages, code, data or results folder are not those of the run."""


class ClusterLost(BenchError):
    """A cluster that cells were sent to and that does not answer any more."""


class PluginError(BenchError):
    """A plugin that cannot be imported or does not fit its protocol; `plugin` is its name where that is known."""

    plugin: str | None = None


class StoreError(BenchError):
    """A results folder that cannot be read or written."""

    exit_code = 3


def cause_of(error: BaseException) -> str:
    """Return the traceback of the exception that an error was made of; empty where it was made of none."""
    if error.__cause__ is None:
        return ""
    return shortened("".join(traceback.format_exception(error.__cause__)), LONGEST_TRACEBACK)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to a wrong one, as the end of an error message.

    >>> nearest("coco-captoin", ["coco-caption", "coco-detection"])
    "Did you mean 'coco-caption'?"
    """
    candidates = sorted(known)
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(candidates)}." if candidates else "None is installed."
