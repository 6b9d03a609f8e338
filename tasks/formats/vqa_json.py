"""VQA v2's files: questions and annotations apart, ten answers a question (Goyal et al. 2017, arXiv 1612.00837).

`v2_OpenEnded_mscoco_val2014_questions.json` holds {"data_subtype", "questions": [{"question_id", "image_id",
"question"}]}, `v2_mscoco_val2014_annotations.json` {"annotations": [{"question_id", "question_type", "answers":
[{"answer"}]}]}. Other sets in this format, as OK-VQA's, are read alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import DataError
from tasks.formats.json_files import read_json
from tasks.formats.question_rows import QuestionRow, require_distinct_questions


def find_vqa_files(root: Path) -> dict[str, tuple[Path, Path]]:
    """Pair files of questions and annotations by what stands before these words, by the questions' name."""
    found: dict[str, tuple[Path, Path]] = {}
    annotations = {_key(path, "annotations"): path for path in sorted(root.glob("*annotations.json"))}
    for path in sorted(root.glob("*questions.json")):
        own = annotations.get(_key(path, "questions"))
        if own is not None:
            found[path.name] = (path, own)
    return found


def read_vqa(questions: Path, annotations: Path) -> list[QuestionRow]:
    """Read a pair of files; raises DataError for what is missing, naming the file and the question."""
    asked = _list(questions, "questions")
    answered: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(_list(annotations, "annotations"), 1):
        answered[str(_value(row, "question_id", f"{annotations}: annotation {number}"))] = row
    rows = [_row(row, answered, f"{questions}: question {number}", annotations) for number, row in enumerate(asked, 1)]
    if not rows:
        raise DataError(f"{questions} has no questions.")
    require_distinct_questions(questions, rows)
    return rows


def subtype_of(questions: Path) -> str:
    """Name the images' folder as the file says it, such as val2014; empty where it does not."""
    content = read_json(questions)
    return str(content.get("data_subtype", "")) if isinstance(content, dict) else ""


def _key(path: Path, word: str) -> str:
    """What questions and annotations have in common: v2_OpenEnded_mscoco_val2014_ and v2_mscoco_val2014_ are one."""
    return path.name.removesuffix(f"{word}.json").replace("OpenEnded_", "").replace("MultipleChoice_", "")


def _list(path: Path, key: str) -> list[Any]:
    content = read_json(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"{path} has no list of {key}; wanted VQA's format: an object with '{key}'.")
    return rows


def _row(row: Any, answered: Mapping[str, Mapping[str, Any]], where: str, annotations: Path) -> QuestionRow:
    name = str(_value(row, "question_id", where))
    if name not in answered:
        raise DataError(f"{where} ({name}) has no annotation in {annotations}: nobody knows its answers.")
    note = answered[name]
    answers = note.get("answers")
    texts = [each.get("answer") if isinstance(each, dict) else each for each in answers or ()]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f'{annotations}: question {name} has no list of answers; wanted [{{"answer": "yes"}}, …].')
    question = str(_value(row, "question", where))
    image = str(_value(row, "image_id", where))
    return QuestionRow(name, image, question, tuple(map(str, texts)), form=str(note.get("question_type", "")))


def _value(row: Any, key: str, where: str) -> Any:
    if not isinstance(row, dict) or row.get(key) is None:
        raise DataError(f"{where} has no {key}.")
    return row[key]
