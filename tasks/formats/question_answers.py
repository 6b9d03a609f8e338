"""Answers to questions that were given elsewhere: VQA's results format, JSON lines, CSV and Parquet.

A list, or a line each, of {"question_id", "answer"}; columns of these names. In the place of `answer` may stand
`scores`: a number for each option, in their order.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.sample import Outcome
from harness.storage.parquet_files import read_parquet
from tasks.formats.json_files import json_kind_of, read_bytes
from tasks.formats.sample_ids import require_distinct_ids

_IDS, _ANSWERS = ("question_id", "sample_id", "id"), ("answer", "prediction", "text", "scores")
_WANTED = "question_id and answer (or scores)"


def read_question_answers(path: Path) -> list[Outcome]:
    """Read a file; raises DataError naming the first row that is wrong, and ids that stand there twice."""
    suffix = path.suffix.lower()
    rows = _parquet(path) if suffix in (".parquet", ".pq") else _csv(path) if suffix == ".csv" else _json(path)
    found = [_outcome(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)]
    if not found:
        raise DataError(f"{path} has no answers; wanted {_WANTED}.")
    require_distinct_ids(path, [outcome.sample_id for outcome in found])
    return found


def _json(path: Path) -> list[Any]:
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            content = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            raise DataError(f"{path} is neither JSON nor lines of it: {error}.") from None
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise DataError(f"{path} holds {json_kind_of(content)}; wanted a list of {_WANTED}.")
    return content


def _csv(path: Path) -> list[Any]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [{str(k).strip(): v for k, v in row.items()} for row in csv.DictReader(file, skipinitialspace=True)]
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}. Write it again as UTF-8.") from None


def _parquet(path: Path) -> list[Any]:
    try:
        rows: list[Any] = read_parquet(path).to_pylist()
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from None
    return rows


def _outcome(row: Any, where: str) -> Outcome:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is {json_kind_of(row)}; wanted {_WANTED}.")
    name = next((row[key] for key in _IDS if row.get(key) is not None), None)
    key = next((key for key in _ANSWERS if row.get(key) is not None), None)
    if name is None or key is None:
        raise DataError(f"{where} has {', '.join(map(str, row)) or 'nothing'}; wanted {_WANTED}.")
    return Outcome(str(name), _answer(row[key], key, where))


def _answer(value: Any, key: str, where: str) -> str | list[float]:
    if key != "scores" and not isinstance(value, list):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise DataError(f"{where}: its answer is {str(value)[:40]}; wanted what was said.")
        return str(value)
    try:
        numbers = json.loads(value) if isinstance(value, str) else value
        if not isinstance(numbers, list) or not numbers or any(isinstance(each, bool) for each in numbers):
            raise ValueError("no list of numbers")
        return [float(each) for each in numbers]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: its scores are {str(value)[:40]} ({error}); wanted a number for each option."
        ) from None
