"""Calibration: ECE by condition beside its null, and reliability diagrams from stored predictions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.record import Estimate
from harness.records.table_names import outcomes_name
from harness.report.page.entries import Board, Entry
from harness.report.page.sources import Columns
from harness.report.page.sweep_means import mean_estimate
from harness.report.page.sweeps import CLEAN_LABEL, MODALITY_PARTS, Sweep
from harness.report.tables.table import (
    ENDS,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    unique,
)

_ERROR, _NULL, _CORRECT = "ECE", "ECE-null", "top-1"
_BINS = 15
_SHOWN = 12
"""Diagrams at most: the best rows."""


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: their mean confidence, the share that was right, and how many there are."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Diagram:
    """A row's reliability, clean and (empty where it was not kept) under the strongest corruptions, pooled."""

    entry: Entry
    clean: tuple[Bin, ...]
    perturbed: tuple[Bin, ...]
    conditions: tuple[str, ...]


def calibration_table(board: Board, sweeps: Sequence[Sweep]) -> Table | None:
    """ECE of each row on the clean test set and that of each part of the conditions; None where nothing has it."""
    scored = [entry for entry in board.entries if entry.row.metrics.get(_ERROR)]
    if not scored:
        return None
    sweep = next(
        (s for s in sweeps if any(_ERROR in a.metrics for of in s.answers.values() for a in of.values())), None
    )
    parts = unique([kind.part for kind in sweep.kinds]) if sweep else []
    columns = [name_column("model"), _column(_ERROR, -1), _column(_NULL)]
    columns += [
        _column(f"{MODALITY_PARTS[part][0] if part in MODALITY_PARTS else part}: mean {_ERROR}", -1) for part in parts
    ]
    lines = []
    for entry in scored:
        cells = [TableCell(entry.name)]
        cells += [score_cell(entry.row.metrics.get(name), Origin(name, (entry.key,))) for name in (_ERROR, _NULL)]
        cells += [_mean_error(sweep, entry, part) for part in parts] if sweep else []
        lines.append(TableRow(tuple(cells), group=entry.name, key=entry.name))
    notes = (
        "ECE has 15 equal bins and is above 0 even for a perfectly calibrated model: the null says how much here. "
        "Compare the two, not ECE with 0.",
    )
    return Table("calibration", "Calibration error", tuple(columns), tuple(lines), notes)


def _column(name: str, direction: int = 0) -> TableColumn:
    return TableColumn(name, kind="cost", direction=direction, interval=True, ends=ENDS)


def _mean_error(sweep: Sweep, entry: Entry, part: str) -> TableCell:
    labels = [label for kind in sweep.kinds if kind.part == part for label in kind.labels]
    answers = [sweep.answers.get(entry.key, {}).get(label) for label in labels]
    found: list[Estimate] = [e for a in answers if a is not None and (e := a.metrics.get(_ERROR)) is not None]
    origin = Origin(f"mean {_ERROR} under {part} conditions", (entry.key,), tuple(labels))
    if len(found) < len(labels) or not found:
        bad = [answer.status for answer in answers if answer is not None and answer.status != "ok"]
        return TableCell(word=bad[0] if bad else "–", origin=origin)
    return score_cell(mean_estimate(found), origin)


def diagrams(board: Board, sweeps: Sequence[Sweep], read: Callable[[str], Columns | None]) -> list[Diagram]:
    """Draw the rows whose predictions are in the folder and are probabilities of one class each."""
    found: list[Diagram] = []
    for entry in board.entries:
        if len(found) < _SHOWN and entry.row.metrics.get(_ERROR):
            clean = _bins([read(outcomes_name(board.task, name)) for name in entry.row.fingerprints])
            if clean:
                labels = _strongest(sweeps, entry)
                names = [outcomes_name(board.task, own, label) for own in entry.row.fingerprints for label in labels]
                perturbed = [read(name) for name in names]
                kept = labels if perturbed and all(table is not None for table in perturbed) else ()
                found.append(Diagram(entry, clean, _bins(perturbed) if kept else (), kept))
    return found


def _strongest(sweeps: Sequence[Sweep], entry: Entry) -> tuple[str, ...]:
    """Corruptions of the image at their greatest severity, as far as the row answered under them."""
    sweep = next((sweep for sweep in sweeps if entry.key in sweep.answers), None)
    if sweep is None:
        return ()
    labels = [kind.labels[-1] for kind in sweep.kinds if kind.part == "image" and len(kind.severities) > 1]
    answers = sweep.answers[entry.key]
    return tuple(
        label for label in labels if label != CLEAN_LABEL and label in answers and answers[label].status == "ok"
    )


def _bins(tables: Sequence[Columns | None]) -> tuple[Bin, ...]:
    """Pool stored predictions into bins of equal width; empty where they are no probabilities of one class."""
    import numpy as np

    confidences: list[float] = []
    correct: list[float] = []
    for table in tables:
        if table is None or _CORRECT not in table:
            return ()
        answers = [json.loads(text) for text in table["prediction"]]
        if not all(isinstance(answer, list) and answer and isinstance(answer[0], float | int) for answer in answers):
            return ()
        confidences += [max(answer) for answer in answers]
        correct += table[_CORRECT]
    right, sure = np.asarray(correct, dtype=np.float64), np.asarray(confidences, dtype=np.float64)
    if not len(right) or not set(np.unique(right)) <= {0.0, 1.0}:
        return ()
    place = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    groups = [place == number for number in range(_BINS)]
    return tuple(Bin(float(sure[g].mean()), float(right[g].mean()), int(g.sum())) for g in groups if g.any())
