"""What must be known beside the scores: notes of the data's readers and of the scorers, as records keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.record import RunRecord
from harness.report.page.entries import Board


def page_notes(board: Board) -> list[str]:
    """Give each note of a board once: those on the data first, then those on answers with the rows that they are of."""
    data: dict[str, None] = {}
    answers: dict[str, dict[str, None]] = {}
    for entry in board.entries:
        for record in entry.records:
            data |= dict.fromkeys(data_notes(record))
            for text in scoring_notes(record):
                answers.setdefault(text, {})[entry.name] = None
    return [*data, *(f"{text} ({_whom(list(names), board)})" for text, names in answers.items())]


def _whom(names: list[str], board: Board) -> str:
    scored = [entry for entry in board.entries if entry.scored]
    return "all rows" if len(names) >= len(scored) > 1 else ", ".join(names)


def data_notes(record: RunRecord) -> list[str]:
    """Give what the readers of a record's data noted."""
    return _told(record.cell.get("training", {}).get("data", {}).get("notes", ()))


def scoring_notes(record: RunRecord) -> list[str]:
    """Give what was noted on a record's answers."""
    return _told(record.provenance.get("notes", ()))


def _told(notes: Any) -> list[str]:
    """Write notes as `harness.sample.Note` does; records of other versions may hold plain texts."""
    return [_text(note) if isinstance(note, Mapping) else str(note) for note in notes or ()]


def _text(note: Mapping[str, Any]) -> str:
    text, split = str(note.get("text", "")), note.get("split")
    return text if split is None else f"split {split}: {text}"
