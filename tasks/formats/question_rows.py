"""Questions about images as files state them, each format turned into the same rows.

Simple JSON and JSON lines: a list, or a line each, of {"question_id", "image", "question", "answer" or "answers",
"options"?, "group"?, "type"?}; POPE's lines say "text" and "label" (Li et al. 2023, arXiv 2305.10355). CSV has the same
columns, several answers or options with | between. GQA's JSON is an object of questions by id (Hudson & Manning 2019,
arXiv 1902.09506). VQA v2 has questions and annotations apart: `tasks.formats.vqa_json`.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, nearest
from tasks.formats.json_files import json_kind_of, read_bytes, read_json

_IDS, _QUESTIONS, _ANSWERS = ("question_id", "id"), ("question", "text"), ("answers", "answer", "label")
_IMAGES = ("image", "image_id", "imageId")
_WANTED = "question_id, image, question and answer (or answers), and perhaps options, group and type"


@dataclass(frozen=True)
class QuestionRow:
    """A question as a file states it; `image` names its file or its number, `answers` are as often as given.

    `form` says which questions are of one type, where the file does; `group` which belong together.
    """

    question_id: str
    image: str
    question: str
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    form: str = ""
    group: str = ""


def read_question_rows(path: Path) -> list[QuestionRow]:
    """Read a JSON, JSON-lines or CSV file of questions; raises DataError naming the file and what is wrong where."""
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    found = [_row(row, f"{path}: {place}") for place, row in rows]
    if not found:
        raise DataError(f"{path} has no questions. Wanted {_WANTED}.")
    require_distinct_questions(path, found)
    return found


def require_distinct_questions(path: Path, rows: Sequence[QuestionRow]) -> None:
    """Raise DataError where two questions have one id, naming the first three."""
    twice = [name for name, count in Counter(row.question_id for row in rows).items() if count > 1]
    if twice:
        raise DataError(
            f"{path}: {len(twice)} ids stand for several questions (first: {', '.join(twice[:3])}). Give each its own."
        )


def looks_like_questions(path: Path) -> bool:
    """Tell whether a file begins as one of questions, by its first row alone."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                names = {name.strip() for name in next(csv.reader(file), [])}
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                head = file.read(4096)
            names = {key for key in (*_IDS, *_QUESTIONS, *_ANSWERS, *_IMAGES) if f'"{key}"' in head}
    except (OSError, ValueError, csv.Error):
        return False
    return all(names & set(wanted) for wanted in (_QUESTIONS, _ANSWERS, _IMAGES))


def _json_rows(path: Path) -> list[tuple[str, Any]]:
    """Rows with their places: of a list, of an object by id, or of a line each."""
    content = read_bytes(path)
    if content.lstrip()[:1] == b"{" and b"\n{" in content.strip():
        return _lines(path, content)
    found = read_json(path)
    if isinstance(found, dict) and not any(key in found for key in _QUESTIONS):
        found = found.get("questions", found)
    if isinstance(found, dict) and any(key in found for key in _QUESTIONS):
        found = [found]
    if isinstance(found, dict):
        return [(f"question {key}", {"question_id": key, **_object(row, path, key)}) for key, row in found.items()]
    if not isinstance(found, list):
        raise DataError(f"{path} holds {json_kind_of(found)}; wanted a list of questions, each with {_WANTED}.")
    return [(f"question {number}", row) for number, row in enumerate(found, 1)]


def _object(row: Any, path: Path, key: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{path}: question {key} is {json_kind_of(row)}; wanted an object with {_WANTED}.")
    return row


def _lines(path: Path, content: bytes) -> list[tuple[str, Any]]:
    found = []
    for number, line in enumerate(content.decode("utf-8-sig", errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append((f"line {number}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is not JSON: {error}. Fetch it again.") from None
    return found


def _csv_rows(path: Path) -> list[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restval="")
            names = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [(f"row {number}", dict(row)) for number, row in enumerate(reader, 1)]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}. Write it again as UTF-8.") from None
    for wanted in (_IMAGES, _QUESTIONS, _ANSWERS):
        if not set(wanted) & set(names):
            raise DataError(f"{path} has no column {wanted[0]}. {nearest(wanted[0], names)} Wanted {_WANTED}.")
    return [(place, _split_values(row)) for place, row in rows]


def _split_values(row: dict[str, Any]) -> dict[str, Any]:
    several = {
        key: [each.strip() for each in str(row[key]).split("|")] for key in ("answers", "options") if row.get(key)
    }
    return {key: value for key, value in {**row, **several}.items() if value not in ("", None) or key in _QUESTIONS}


def _row(row: Any, where: str) -> QuestionRow:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is {json_kind_of(row)}; wanted an object with {_WANTED}.")
    answers = _texts(_first(row, _ANSWERS, where), f"{where}: its answer")
    if not answers:
        raise DataError(f"{where} has no answer.")
    question = str(_first(row, _QUESTIONS, where)).strip()
    if not question:
        raise DataError(f"{where} asks nothing.")
    place = where.rpartition(" ")[2]
    kind = row.get("type", row.get("question_type"))
    if isinstance(row.get("types"), Mapping):  # GQA's
        kind = row["types"].get("detailed", kind)
    return QuestionRow(
        question_id=str(next((row[key] for key in _IDS if key in row), place)),
        image=str(_first(row, _IMAGES, where)),
        question=question,
        answers=answers,
        options=_texts(row.get("options", row.get("choices", ())), f"{where}: its options"),
        form=str(kind or ""),
        group=str(row.get("group", "")),
    )


def _first(row: Mapping[str, Any], keys: Sequence[str], where: str) -> Any:
    for key in keys:
        if row.get(key) is not None:
            return row[key]
    raise DataError(f"{where} has no {keys[0]} (it has {', '.join(map(str, row)) or 'nothing'}). Wanted {_WANTED}.")


def _texts(value: Any, what: str) -> tuple[str, ...]:
    """One text, or several; of objects their "answer"."""
    values: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    texts = [each.get("answer") if isinstance(each, Mapping) else each for each in values]
    for text in texts:
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise DataError(f"{what} is {str(text)[:40]}; wanted text.")
    return tuple(str(text).strip() for text in texts if str(text).strip())
