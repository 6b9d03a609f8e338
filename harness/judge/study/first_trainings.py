"""What is trained once before the cells of a study, because their models build on it, and how long that takes here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import CheckpointError
from harness.judge.study.planning import StudyCells
from harness.records.trainings import SUMMARY, read_training, why_unusable

STEP_S = 0.18
"""Seconds a step where none was ever trained here: 148 s for the 800 steps of the Scenes base, on one of two cores."""
_FOLDER = "prerequisites"


def first_trainings(cells: StudyCells, cache: Path, slots: int) -> dict[str, float]:
    """Price what is not yet trained, by fingerprint: seconds of one core, as often as cells wait for it side by side.

    As long as the last one of as many steps took on this machine.
    """
    jobs = {name: job for each in cells.variations.values() for name, job in each.plan.prerequisites.items()}
    found = {}
    for name, job in jobs.items():
        if why_unusable(cache / _FOLDER / name) is not None:
            found[name] = slots * _seconds(cache / _FOLDER, job.train.steps)
    return found


def _seconds(folder: Path, steps: int) -> float:
    newest_first = sorted(folder.glob(f"*/{SUMMARY}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first:
        told = _told(path.parent)
        if told.get("steps") == steps and isinstance(told.get("seconds"), float):
            return float(told["seconds"])
    return steps * STEP_S


def _told(folder: Path) -> dict[str, Any]:
    try:
        return read_training(folder)
    except (CheckpointError, OSError):  # unreadable: another one tells
        return {}
