"""Reads scores that were made elsewhere: long tables, and RobustBench's wide ones.

Long: CSV with the columns model, perturbation, severity, value; severity 0 is clean; fractions 0..1. Wide: what
RobustBench writes to model_info/*/corruptions/unaggregated_results.csv (`corruptions_evaluation` in its
robustbench/eval.py): a first line of corruption names, a second one of severities, then a model a line; a column
without a severity (its `average`) is no cell, and there is no clean score unless a column `clean` with severity 0 was
added.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.judge.robustness.cells import CLEAN_NAME, SEVERITIES, GridCell, ModelTable
from harness.judge.robustness.published import EXTRA_CORRUPTIONS, canonical_name
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.stats.propagation import Figure, absent

SCORE_COLUMNS = ("model", "perturbation", "severity", "value")
_NO_CLEAN = "the table has no clean score of this model"


@dataclass(frozen=True)
class _Entry:
    line: int
    model: str
    cell: GridCell
    value: float


def read_scores_file(path: Path) -> dict[str, ModelTable]:
    """Read either format into a table a model, perturbations by our names, models in the order of the file.

    Raises DataError naming the file, the line and what is wrong: a column, a value, a severity or a cell that is
    missing, doubled or out of range.
    """
    rows = _read_rows(path)
    wide = _is_wide(rows)
    entries = _wide(path, rows) if wide else _long(path, rows)
    if not entries:
        raise DataError(f"{path} has a heading and no scores; wanted a line for each score.")
    _check_range(path, entries)
    tables = _tables(path, entries)
    _check_complete(path, tables, wide)
    return tables


def _read_rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[field.strip() for field in row] for row in csv.reader(file)]
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}. Give a CSV file of scores.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV file in UTF-8: {error}.") from None
    if not any(any(row) for row in rows):
        raise DataError(f"{path} is empty; wanted the columns {', '.join(SCORE_COLUMNS)}.")
    return rows


def _is_wide(rows: Sequence[Sequence[str]]) -> bool:
    """Tell RobustBench's format by its first field, which is empty, and its second line, which holds severities."""
    if len(rows) < 2 or not rows[0] or rows[0][0] or len(rows[1]) < 2:
        return False
    return any(field.isdecimal() for field in rows[1][1:])


def _long(path: Path, rows: Sequence[Sequence[str]]) -> list[_Entry]:
    heading = [name.lower() for name in rows[0]]
    lacking = [name for name in SCORE_COLUMNS if name not in heading]
    if lacking:
        raise DataError(
            f"{path} lacks the column {', '.join(lacking)}; seen {', '.join(rows[0])}. "
            f"Wanted {', '.join(SCORE_COLUMNS)}, or RobustBench's wide table."
        )
    places = [heading.index(name) for name in SCORE_COLUMNS]
    entries = []
    for line, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        if len(row) < len(heading):
            raise DataError(f"{path}, line {line}: {len(row)} fields; wanted {len(heading)}.")
        model, perturbation, severity, value = (row[place] for place in places)
        if not model:
            raise DataError(f"{path}, line {line}: the model has no name.")
        cell = _cell(path, line, perturbation, severity)
        entries.append(_Entry(line, model, cell, _number(path, line, value)))
    return entries


def _wide(path: Path, rows: Sequence[Sequence[str]]) -> list[_Entry]:
    names, severities = rows[0], rows[1]
    if len(names) != len(severities):
        raise DataError(f"{path}: {len(names)} names of corruptions and {len(severities)} severities; wanted as many.")
    columns = [n for n in range(1, len(names)) if severities[n]]
    cells = {n: _cell(path, 2, names[n], severities[n]) for n in columns}
    entries = []
    for line, row in enumerate(rows[2:], 3):
        if not any(row):
            continue
        if len(row) != len(names) or not row[0]:
            raise DataError(f"{path}, line {line}: {len(row)} fields; wanted a model's name and {len(names) - 1} more.")
        entries += [_Entry(line, row[0], cells[n], _number(path, line, row[n])) for n in columns]
    return entries


def _cell(path: Path, line: int, perturbation: str, severity: str) -> GridCell:
    try:
        number = float(severity)
    except ValueError:
        number = math.nan
    if number != number or number not in (0, *SEVERITIES):
        raise DataError(f"{path}, line {line}: severity '{severity}'; wanted 0 for clean or 1 to {SEVERITIES[-1]}.")
    name = canonical_name(perturbation)
    if number == 0:
        return (name or CLEAN_NAME, 0)
    if not name or name == CLEAN_NAME:
        raise DataError(f"{path}, line {line}: perturbation '{perturbation}' with severity {severity}; clean has 0.")
    return (name, int(number))


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}, line {line}: the value '{text}' is no number; wanted a fraction 0..1.")
    return value


def _check_range(path: Path, entries: Sequence[_Entry]) -> None:
    wrong = next((entry for entry in entries if not 0 <= entry.value <= 1), None)
    if wrong is None:
        return
    values = [entry.value for entry in entries]
    percent = min(values) >= 0 and max(values) <= 100 and sum(value > 1 for value in values) > len(values) / 2
    advice = "These look like percent: divide by 100." if percent else "mPC and mCE here are of scores within 0..1."
    raise DataError(f"{path}, line {wrong.line}: the value {wrong.value:g}; wanted a fraction 0..1. {advice}")


def _tables(path: Path, entries: Sequence[_Entry]) -> dict[str, ModelTable]:
    found: dict[str, dict[GridCell, _Entry]] = {}
    for entry in entries:
        mine = found.setdefault(entry.model, {})
        if entry.cell in mine:
            raise DataError(
                f"{path}, line {entry.line}: {entry.model}, {entry.cell[0]}, severity {entry.cell[1]} is there twice, "
                f"first in line {mine[entry.cell].line}. Keep one."
            )
        mine[entry.cell] = entry
    return {model: _table(path, model, cells) for model, cells in found.items()}


def _table(path: Path, model: str, cells: Mapping[GridCell, _Entry]) -> ModelTable:
    clean = [entry for (_, severity), entry in cells.items() if severity == 0]
    if len({entry.value for entry in clean}) > 1:
        lines = ", ".join(str(entry.line) for entry in clean)
        raise DataError(f"{path}: {model} has different clean scores in lines {lines}; wanted one.")
    return ModelTable(
        clean=Figure(clean[0].value) if clean else absent(_NO_CLEAN),
        cells={cell: Figure(entry.value) for cell, entry in cells.items() if cell[1]},
    )


def _check_complete(path: Path, tables: Mapping[str, ModelTable], wide: bool) -> None:
    """Require all severities of a corruption, and the same cells of every model; all but the wide format, clean."""
    wanted = dict.fromkeys(cell for table in tables.values() for cell in table.cells)
    corruptions = {name for name, _ in wanted} & {*STANDARD_CORRUPTIONS, *EXTRA_CORRUPTIONS}
    wanted |= dict.fromkeys((name, severity) for name in sorted(corruptions) for severity in SEVERITIES)
    for model, table in tables.items():
        if table.clean.value is None and not wide:
            raise DataError(f"{path}: {model} has no clean score; add a line '{model},{CLEAN_NAME},0,VALUE'.")
        lacking = [f"{name} {severity}" for name, severity in wanted if (name, severity) not in table.cells]
        if lacking:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise DataError(
                f"{path}: {model} has no score under {', '.join(lacking[:5])}{more}; a mean over fewer cells is no mPC."
            )
    if not wanted:
        raise DataError(f"{path} holds clean scores only; wanted scores under perturbations too.")
