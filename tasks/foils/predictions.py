"""Scores of captions and foils that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.sample import Outcome
from tasks.foils.targets import at_place, true_place
from tasks.formats.json_files import read_json

_FORM = (
    'a list of {"sample_id": "replace-object:0", "caption": 0.3, "negative_caption": 0.1}, of groups of '
    '{"sample_id": "12:0", "caption_0": 0.3, "caption_1": 0.1}'
)


def read_choice_scores(path: Path) -> Sequence[Outcome]:
    """Read a JSON file that names its scores as the data names its texts; raises DataError for the wrong entry."""
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path} is {type(content).__name__}; wanted {_FORM}.")
    return [_outcome(entry, f"{path}[{place}]") for place, entry in enumerate(content)]


def _outcome(entry: Any, where: str) -> Outcome:
    if isinstance(entry, dict) and "sample_id" in entry:
        sample_id = str(entry["sample_id"])
        if (scores := _numbers(entry, "caption", "negative_caption")) is not None:
            return Outcome(sample_id, list(at_place(scores, true_place(sample_id, 2))))
        if (scores := _numbers(entry, "caption_0", "caption_1")) is not None:
            return Outcome(sample_id, list(scores))
    raise DataError(f"{where} is {str(entry)[:80]}; wanted {_FORM}.")


def _numbers(entry: dict[str, Any], *names: str) -> tuple[float, ...] | None:
    values = tuple(entry.get(name) for name in names)
    return values if all(type(value) in (int, float) for value in values) else None  # type: ignore[return-value]
